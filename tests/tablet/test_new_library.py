"""A tablet goes over to a library that was installed meanwhile: prepared first, and between scans."""

from __future__ import annotations

import shutil
import threading
from datetime import UTC, datetime

import pytest

from spectralid.library import open_library
from spectralid.library.installed import FILES, Installed, activate
from spectralid.tablet import FieldUnit
from tests.reachback import bench
from tests.reachback.bench import SUBSTANCES, spectrum

A, B, C, *_ = SUBSTANCES


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    folder = tmp_path_factory.mktemp("libraries")
    known = [(slug, number) for number, slug in enumerate((B, C, *SUBSTANCES[3:6]))]
    bench.build(folder / "1.h5", known, version="1")
    bench.build(folder / "2.h5", [*known, (A, 77)], version="2")
    return folder


def install(place, libraries, number):
    """As an update does with its last step."""
    (place / FILES).mkdir(parents=True, exist_ok=True)
    shutil.copy(libraries / f"{number}.h5", place / FILES)
    with open_library(libraries / f"{number}.h5") as made:
        one = Installed(
            number=number, name=made.name, version=made.version, sha256=made.sha256, file=f"{number}.h5",
            file_sha256="", made_utc="2026-11-22T12:00:00+00:00", installed_utc="2026-11-22T12:00:00+00:00",
            expires_utc="2026-11-29T12:00:00+00:00", signers=(),
        )  # fmt: skip
    activate(place, one)


@pytest.fixture
def unit(tmp_path, libraries):
    install(tmp_path / "library", libraries, 1)
    with FieldUnit.open(tmp_path, officer="K-17") as opened:
        yield opened


def scan(unit, slug):
    item = unit.add_item(unit.open_seizure(place="Lane 4"), label="bag")
    return item, unit.record_scan(item, spectrum(slug))


def test_what_was_installed_is_used_and_a_newer_one_taken_between_scans(unit, tmp_path, libraries):
    assert unit.library.version == "1"
    item, before = scan(unit, A)
    assert A not in before.verdict.named
    assert not unit.renew_library()
    names = unit.nameable
    install(tmp_path / "library", libraries, 2)
    assert unit.library.version == "1"
    assert unit.renew_library()
    assert not unit.renew_library()
    assert (unit.library.version, unit.nameable) == ("2", names + 1)
    after = unit.record_scan(item, spectrum(A))
    assert after.verdict.named == (A,)
    recorded = [unit.store.packet(one.packet_id).manifest["result"]["library"] for one in (before, after)]
    assert [one["version"] for one in recorded] == ["1", "2"]


def test_a_library_that_does_not_open_changes_nothing(unit, tmp_path, libraries):
    install(tmp_path / "library", libraries, 2)
    (tmp_path / "library" / FILES / "2.h5").write_bytes(b"not a library")
    for _ in range(2):
        assert not unit.renew_library()
    assert unit.library.version == "1"
    assert scan(unit, B)[1].verdict.named == (B,)


def test_a_scan_under_way_is_ended_with_the_library_it_began_with(unit, tmp_path, libraries, monkeypatch):
    install(tmp_path / "library", libraries, 2)
    begun, go_on, renewed = threading.Event(), threading.Event(), threading.Event()
    conclude = unit._conclude

    def slowly(*arguments):
        begun.set()
        assert go_on.wait(60)
        return conclude(*arguments)

    monkeypatch.setattr(unit, "_conclude", slowly)
    results = []
    scanning = threading.Thread(target=lambda: results.append(scan(unit, B)[1]))
    scanning.start()
    assert begun.wait(60)
    renewing = threading.Thread(target=lambda: (unit.renew_library(), renewed.set()))
    renewing.start()
    assert not renewed.wait(0.5)
    assert unit.library.version == "1"
    go_on.set()
    for thread in (scanning, renewing):
        thread.join(60)
    assert unit.store.packet(results[0].packet_id).manifest["result"]["library"]["version"] == "1"
    assert unit.library.version == "2"


def test_a_library_named_by_hand_stays(tmp_path, libraries):
    install(tmp_path / "library", libraries, 2)
    with FieldUnit.open(tmp_path, library=libraries / "1.h5") as unit:
        assert not unit.renew_library()
        assert unit.library.version == "1"


def test_without_an_installed_one_the_bundled_one_is_used(tmp_path):
    with FieldUnit.open(tmp_path) as unit:
        assert unit.library.name == "spectralid"
        assert not unit.renew_library()


# --- asking the agency -------------------------------------------------------------------------------------


@pytest.fixture
def agency(tmp_path):
    pytest.importorskip("tuf", reason="signed updates need the extra [tablet]")
    from tests.reachback.agency import Agency

    return Agency(tmp_path / "repository")


def trusting(agency, folder):
    from spectralid.library import update

    update.trust(folder / "library", agency.root, confirmed=update.fingerprint(agency.root))


def test_a_tablet_set_back_in_time_does_not_take_what_was_held_back(agency, tmp_path):
    """The latest time that its server signed counts, though its clock says that nothing has expired."""
    from spectralid.casework.store import CaseStore
    from spectralid.library.update import UpdateError
    from spectralid.library.update_sources import FolderSource
    from spectralid.tablet import libraries
    from tests.casework.record import Clock

    folder, source = tmp_path / "tablet", FolderSource(agency.folder)
    with CaseStore.open(folder, ballast_bytes=4096, clock=Clock(agency.time)) as store:
        trusting(agency, folder)
        agency.release(1)
        agency.passes(days=8)
        with store.transaction() as tx:
            store.time.advance(tx, agency.time)
        assert store.time.clock.wall_utc() < agency.time
        with pytest.raises(UpdateError) as caught:
            libraries.ask(store, folder, source, site="")
        assert (caught.value.code, caught.value.guard) == ("expired", "ExpiredMetadataError")
        agency.refresh()
        assert libraries.ask(store, folder, source, site="").library.number == 1


def test_the_workplace_asks_now_and_then_and_goes_over_to_what_came(agency, tmp_path, libraries, monkeypatch):
    from spectralid.library.update_sources import FolderSource
    from spectralid.tablet import libraries as own
    from spectralid.tablet import workplace

    class Line(FolderSource):
        closed = 0

        def close(self):
            Line.closed += 1

    folder = tmp_path / "tablet"
    monkeypatch.setattr(workplace, "_LIBRARY_S", 0.01)
    monkeypatch.setattr(workplace, "_FIRST_ASKED_S", 0.0)
    monkeypatch.setattr(own, "line", lambda store, **_: Line(agency.folder))
    asked, ask = [], own.ask

    def noted(*given, **options):
        asked.append(ask(*given, **options))
        return asked[-1]

    monkeypatch.setattr(own, "ask", noted)
    agency.time = datetime.now(UTC)
    agency.refresh(everything=True)
    agency.release(1, libraries / "2.h5")
    trusting(agency, folder)
    unit = FieldUnit.open(folder, library=libraries / "1.h5")
    unit._installed = folder / "library"
    place = workplace.Workplace(unit, folder)
    changed = threading.Event()
    monkeypatch.setattr(place, "changed", changed.set)
    try:
        place._begin("library", place._renew_library)
        assert changed.wait(60)
    finally:
        place.close()
    assert unit.library.version == "2"
    assert [one.outcome for one in asked] == ["installed"]
    assert Line.closed == 1
