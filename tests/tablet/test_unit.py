"""The flow of field work: recorded before it is returned, found again after a restart."""

import json
from functools import partial

import numpy as np
import pytest

from spectralid import open_library
from spectralid.casework.compose import spectrum_of
from spectralid.casework.errors import StoreReadOnlyError
from spectralid.casework.store import CaseStore
from spectralid.devices import ScanPlan, Session, arm, load_profile, open_device
from spectralid.devices.sim.launch import Simulator
from spectralid.errors import ParameterError, TechniqueError
from spectralid.identify import Identifier
from spectralid.library.combine import subset_library
from spectralid.spectrum import Spectrum, Technique
from spectralid.tablet import FieldUnit
from spectralid.verdict import PolicyKeeper


def scanned(*arguments, averages=30):
    """A spectrum as the simulated instrument measures it."""
    profile = load_profile("ocean-ventana-785l")
    with (
        Simulator("--protocol", "obp", *arguments) as simulator,
        Session(partial(open_device, simulator.port, profile)) as session,
    ):
        spectrum = session.scan(
            ScanPlan(averages=averages, warning_s=0.0), token=arm("K-17"), acknowledge_unknown_interlock=True
        )
    return spectrum.replace(acquisition=spectrum.acquisition.with_flags("simulated"))


@pytest.fixture(scope="module")
def acetaminophen():
    return scanned("--substance", "acetaminophen")


@pytest.fixture(scope="module")
def engine():
    with open_library() as library:
        yield Identifier(library)


@pytest.fixture
def unit(tmp_path, engine):
    keeper = PolicyKeeper(tmp_path / "policy")
    with CaseStore.open(tmp_path / "record", ballast_bytes=1 << 16) as store:
        yield FieldUnit(store, engine.library, keeper=keeper, engine=engine, officer="K-17", site="Nogales")


@pytest.fixture
def item(unit):
    return unit.add_item(unit.open_seizure(place="Lane 4", mode="land"), label="bag 1", container="pe")


def test_a_scan_is_on_record_signed_and_queued_before_it_is_returned(unit, item, acetaminophen):
    result = unit.record_scan(item, acetaminophen)
    assert result.verdict.kind == "identified"
    packet = unit.store.packet(result.packet_id)
    manifest = packet.manifest
    assert manifest["officer_ref"] == "K-17"
    assert manifest["result"]["verdict"] == json.loads(json.dumps(result.verdict.to_dict()))
    assert manifest["result"]["components"][0]["slug"] == "acetaminophen"
    assert manifest["context"]["container"] == "pe"
    assert "simulated" in manifest["instrument"]["flags"]
    assert spectrum_of(packet) == acetaminophen.replace(source="")
    queued = unit.store.read("SELECT state FROM outbox WHERE packet_id = ?", (result.packet_id,))
    assert queued == [("queued",)]


def test_after_a_restart_the_same_result_comes_out_of_the_record(tmp_path, acetaminophen):
    folder = tmp_path / "record"
    with FieldUnit.open(folder, officer="K-17") as unit:
        item = unit.add_item(unit.open_seizure())
        first = unit.record_scan(item, acetaminophen)
    with FieldUnit.open(folder) as unit:
        identification, verdict = unit.result(first.packet_id)
        view = unit.item(item)
        assert [p.packet_id for p in view.scans] == [first.packet_id]
    assert identification.to_json() == first.identification.to_json()
    assert verdict.to_dict() == first.verdict.to_dict()


def test_what_could_not_be_recorded_is_not_returned(unit, item, acetaminophen, monkeypatch):
    def fails(draft):
        raise StoreReadOnlyError("Nothing can be stored.")

    monkeypatch.setattr(unit.store, "capture", fails)
    with pytest.raises(StoreReadOnlyError):
        unit.record_scan(item, acetaminophen)
    assert unit.item(item).scans == ()


def test_a_spectrum_the_library_cannot_judge_is_kept_and_escalated(tmp_path):
    raman_only = tmp_path / "raman.h5"
    with open_library() as library:
        subset_library(library, raman_only, techniques=["raman"], tiers=["literature"])
    x = np.linspace(500, 3500, 900)
    infrared = Spectrum(axis=x, intensity=np.exp(-((x - 1700) ** 2) / 200), technique=Technique.FTIR_ATR)
    with FieldUnit.open(tmp_path / "record", library=raman_only, officer="K-17") as unit:
        item = unit.add_item(unit.open_seizure())
        with pytest.raises(TechniqueError):
            unit.record_scan(item, infrared)
        (packet,) = unit.item(item).scans
        assert spectrum_of(packet).sha256 == infrared.sha256
        assert packet.manifest["escalation"]["why"] == ["uncertain"]
        assert "infrared" in packet.manifest["result"]["refused"]


@pytest.mark.parametrize(
    ("act", "named"),
    [
        (lambda u, i: u.open_seizure(mode="rocket"), "mode"),
        (lambda u, i: u.open_seizure(note="x" * 2001), "note"),
        (lambda u, i: u.add_item("S-9"), "seizure"),
        (lambda u, i: u.add_item(u.item(i).seizure_ref, container="tin"), "container"),
        (lambda u, i: u.add_item(u.item(i).seizure_ref, declared={"text": " "}), "declared"),
        (lambda u, i: u.item("S-9-01"), "item"),
        (lambda u, i: u.declare(i), "declared"),
        (lambda u, i: u.add_note(i, "  "), "note"),
        (lambda u, i: u.add_photo(i, "image/jpeg", b"GIF89a"), "photo"),
        (lambda u, i: u.add_photo(i, "text/html", b"<script>"), "photo"),
        (lambda u, i: u.add_photo(i, "image/png", b"\x89PNG\r\n\x1a\n" + bytes(5_000_000)), "photo"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name_and_leaves_no_record(unit, item, act, named):
    before = unit.store.health().counts["packets"]
    with pytest.raises(ParameterError, match=named):
        act(unit, item)
    assert unit.store.health().counts["packets"] == before


def test_references_are_of_this_tablet_this_day_and_count_up(unit):
    first, second = unit.open_seizure(), unit.open_seizure()
    assert first != second
    assert first.startswith(unit.store.device_id[:8])
    assert [int(r.rpartition("-")[2]) for r in (first, second)] == [1, 2]
    items = [unit.add_item(second) for _ in range(3)]
    assert items == [f"{second}-{n:02d}" for n in (1, 2, 3)]


def test_a_second_scan_at_once_may_be_a_repeat_but_not_after_a_poor_one(unit, item, acetaminophen):
    assert unit.repeats(item) is None
    x = np.linspace(300, 2300, 1000)
    noise = Spectrum(axis=x, intensity=np.random.default_rng(0).normal(size=1000), technique=Technique.RAMAN)
    poor = unit.record_scan(item, noise)
    assert poor.verdict.kind == "poor_signal"
    assert unit.repeats(item) is None
    good = unit.record_scan(item, acetaminophen)
    assert unit.repeats(item) == good.packet_id
    other = unit.add_item(unit.item(item).seizure_ref)
    assert unit.repeats(other) is None


def test_asking_reachback_is_always_possible_and_names_what_it_is_about(unit, item, acetaminophen):
    scan = unit.record_scan(item, acetaminophen)
    note = unit.add_note(item, "smells of vinegar")
    unit.send(item, "please look")
    last = unit.store.history(limit=1)[0]
    manifest = unit.store.packet(last.packet_id).manifest
    assert last.kind == "send"
    assert manifest["escalation"]["why"] == ["forced"]
    assert manifest["escalation"]["urgency"] == scan.verdict.alarm
    assert manifest["escalation"]["officer_note"] == "please look"
    assert manifest["packet_ids"] == [scan.packet_id, note.evidence[-1].packet_id]


def test_photos_are_kept_byte_for_byte(unit, item):
    picture = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
    view = unit.add_photo(item, "image/png", picture)
    (packet,) = view.evidence
    (entry,) = packet.manifest["photos"]
    assert packet.blob(entry["blob"]) == picture


def test_the_officer_the_language_and_the_policy_are_those_of_the_moment(unit, item, acetaminophen):
    unit.officer, unit.language = "M-3", "es"
    result = unit.record_scan(item, acetaminophen)
    assert "presuntivo" in result.verdict.words
    manifest = unit.store.packet(result.packet_id).manifest
    assert (manifest["officer_ref"], manifest["ui_locale"]) == ("M-3", "es")
    assert unit.policy.sha256[:12] in manifest["result"]["verdict"]["policy"]
