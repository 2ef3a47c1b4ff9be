"""The archive of scans: the same bytes however it grew, and whole or made again."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import sqlalchemy as sa

from spectralid.identify.similarity import derivative_cosine, derivative_window, first_derivative
from spectralid.library.schema import common_grid
from spectralid.preprocess.resample import resample
from spectralid.reachback.errors import ConflictError
from spectralid.reachback.research.archive import PREPARATION, Archive, DamagedShardError, derivatives, encode
from spectralid.reachback.store import tables
from tests.reachback.world import AXIS, NAMES, pure, values


def scan(desk, i, tablet=None, **body):
    names = [NAMES[i % 5], NAMES[(i * 3 + 1) % 5]]
    parts = values((names[0], 1.0), (names[1], 0.3), seed=i)
    return desk.scan(f"S-{i}", tablet, values=parts, substances=(names[0],), **body)


def contents(archive):
    return {path.name: path.read_bytes() for path in archive.folder.iterdir() if path.name != "writer.lock"}


def archived(desk, **options):
    archive = Archive(desk.db, **{"shard_rows": 4, **options})
    archive.update()
    return archive


def test_it_grows_to_the_bytes_that_it_has_when_made_anew(desk):
    archive = Archive(desk.db, shard_rows=4)
    assert archive.update() == 0
    for i, batch in enumerate((3, 1, 5, 2)):
        for k in range(batch):
            scan(desk, 10 * i + k, desk.other if k % 2 else None)
        assert archive.update() == batch
        assert archive.update() == 0
    assert archive.rows("raman") == 11
    grown = contents(archive)
    # Files of the manifest before are kept for those who have just read it.
    kept = {name for name in grown if name == "manifest.json" or archive_names(archive, name)}
    archive.rebuild()
    anew = contents(archive)
    assert {name: grown[name] for name in kept} == {name: anew[name] for name in kept}
    assert len(kept) == 4


def archive_names(archive, name):
    return any(
        archive.file_of("raman", row).name == name for row in range(0, archive.rows("raman"), 4)
    )  # fmt: skip


def test_a_row_is_what_the_search_compares(desk):
    scan(desk, 1)
    scan(desk, 2)
    archive = archived(desk)
    shard = archive.shard("raman", 0)
    grid = common_grid("raman")
    for row, i in enumerate((1, 2)):
        names = [NAMES[i % 5], NAMES[(i * 3 + 1) % 5]]
        y = np.array(values((names[0], 1.0), (names[1], 0.3), seed=i)).astype("f4").astype(float)
        slopes = first_derivative(resample(AXIS, y, grid), derivative_window(3.0))
        known = np.unpackbits(shard.masks[shard.mask_of_row[row]]).astype(bool)
        assert np.array_equal(known, np.isfinite(slopes))
        kept = shard.vectors[row].astype(float) * shard.scale[row]
        assert derivative_cosine(kept[known], slopes[known]) == pytest.approx(1, abs=1e-8)
        assert kept @ kept == pytest.approx(1, abs=1e-4)
        assert shard.named[shard.named_of_row[row]] == (names[0],)
        assert shard.ref(row).device_id == "tablet-1"


def test_what_sixteen_bits_leave_out_is_small():
    rng = np.random.default_rng(3)
    unit, _ = derivatives(rng.normal(size=(200, 1024)).cumsum(axis=1), "raman")
    vectors, scale = encode(unit)
    kept = vectors.astype(float) * scale[:, None]
    assert np.abs(kept @ unit.T - unit @ unit.T).max() < 1e-4
    # So that this would fail if there were fewer bits.
    coarse = np.rint(unit / np.abs(unit).max(axis=1)[:, None] * 127) / 127 * np.abs(unit).max(axis=1)[:, None]
    assert np.abs(coarse @ unit.T - unit @ unit.T).max() > 1e-4


def test_what_cannot_be_searched_is_counted_and_left_out(desk):
    scan(desk, 1)
    desk.scan("S-3", values=(1.0, 2.0, 3.0))  # ends before the grid has a derivative
    desk.scan("S-4", values=(1.0, 1.0, 1.0))  # flat: not usable, not looked at
    desk.scan("S-5", values=values(("lactose", 1)), instrument={"technique": "unknown"})
    manifest = archived(desk).manifest()
    assert manifest["rows"] == {"raman": 1, "infrared": 0}
    assert manifest["skipped"] == 2


def test_infrared_lies_on_a_grid_of_its_own(desk):
    desk.scan("S-1", values=values(("lactose", 1)), instrument={"technique": "ftir_atr"})
    scan(desk, 2)
    archive = archived(desk)
    assert archive.manifest()["rows"] == {"raman": 1, "infrared": 1}
    assert archive.shard("infrared", 0).kind == "infrared"


@pytest.mark.parametrize("harm", ["cut", "bit", "gone"])
def test_a_torn_shard_is_made_again(desk, harm):
    for i in range(6):
        scan(desk, i)
    archive = archived(desk)
    before = contents(archive)
    for row in (0, 4):
        path = archive.path(archive.file_of("raman", row))
        whole = path.read_bytes()
        match harm:
            case "cut":
                path.write_bytes(whole[:-100])
            case "bit":
                path.write_bytes(whole[:900] + bytes([whole[900] ^ 1]) + whole[901:])
            case "gone":
                path.unlink()
        assert archive.verify() == (path.name,)
        assert len(archive.shard("raman", row)) == (4 if row == 0 else 2)
        assert archive.verify() == ()
    assert contents(archive) == before


def test_growing_on_a_torn_end_repairs_it_first(desk):
    for i in range(6):
        scan(desk, i)
    archive = archived(desk)
    path = archive.path(archive.file_of("raman", 4))
    path.write_bytes(b"torn")
    scan(desk, 7)
    archive.update()
    assert archive.verify() == ()
    digest = hashlib.sha256(b"".join(archive.path(archive.file_of("raman", r)).read_bytes() for r in (0, 4)))
    archive.rebuild()
    again = hashlib.sha256(b"".join(archive.path(archive.file_of("raman", r)).read_bytes() for r in (0, 4)))
    assert digest.hexdigest() == again.hexdigest()


def test_a_torn_manifest_means_all_anew(desk):
    for i in range(5):
        scan(desk, i)
    archive = archived(desk)
    before = contents(archive)
    path = archive.folder / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"skipped": 0', b'"skipped": 9'))
    assert archive.rows("raman") == 0
    assert archive.update() == 5
    assert contents(archive) == before


def test_another_database_under_the_archive_is_noticed(desk):
    for i in range(5):
        scan(desk, i)
    archive = archived(desk)
    newest = sa.select(sa.func.max(tables.packets.c.audit_n)).scalar_subquery()
    with desk.db.begin() as tx:
        # As after a backup was restored: the number is there and means another packet.
        drop_triggers(tx, desk.db.dialect)
        tx.execute(tables.packets.update().where(tables.packets.c.audit_n == newest).values(sha256="other"))
    scan(desk, 9)
    assert archive.update() == 6
    assert archive.rows("raman") == 6


def drop_triggers(tx, dialect):
    if dialect == "sqlite":
        tx.exec_driver_sql("DROP TRIGGER packets_no_update")
    else:
        tx.execute(sa.text("SET LOCAL session_replication_role = replica"))


def test_a_shard_that_the_database_no_longer_gives_is_not_invented(desk):
    for i in range(5):
        scan(desk, i)
    archive = archived(desk)
    archive.path(archive.file_of("raman", 0)).unlink()
    with desk.db.begin() as tx:
        tx.execute(tables.spectra.update().where(tables.spectra.c.seq == 2).values(usable=False))
    with pytest.raises(DamagedShardError, match="make it anew"):
        archive.shard("raman", 0)


def test_one_process_adds_at_a_time(desk):
    from spectralid.casework.lock import WriterLock

    archive = Archive(desk.db)
    held = WriterLock(archive.folder / "writer.lock")
    with pytest.raises(ConflictError, match="Another process"):
        archive.update()
    held.release()
    assert archive.update() == 0


def test_other_preparation_is_another_archive(desk):
    for i in range(5):
        scan(desk, i)
    archived(desk)
    larger = archived(desk, shard_rows=3)
    assert [larger.file_of("raman", row).rows for row in (0, 3)] == [3, 2]


@pytest.mark.parametrize(
    ("technique", "unit", "numbers", "known"),
    [
        ("raman", "counts", [-4992, 4984, 26, 1253, -14386, 1025, 1101, 1143, 9368, 899, 1136, 1783], 538),
        (
            "ftir_atr", "percent_transmittance",
            [-5204, 26913, 859, 5448, 858, 1082, 1129, 8866, 1043, 1210, 10053, 952], 461,
        ),
    ],
)  # fmt: skip
def test_the_preparation_has_a_number_of_its_own(desk, technique, unit, numbers, known):
    """If this fails because spectra are prepared otherwise: raise `archive.PREPARATION`, then mend it."""
    y = pure("caffeine") + 0.001 * (AXIS - 200)
    y = y if unit == "counts" else 100 * np.exp(-y)
    raw = desk.tablet.scan("S-1", values=tuple(y.tolist()), instrument={"technique": technique})
    desk.ingest(raw)
    shift = 0 if unit == "counts" else 300
    with desk.db.begin() as tx:
        axis = (AXIS + shift).astype("<f4").tobytes()
        tx.execute(tables.spectra.update().values(unit=unit, axis=axis))
    archive = archived(desk)
    shard = archive.shard("raman" if technique == "raman" else "infrared", 0)
    assert np.abs(shard.vectors[0, 100:400:25].astype(int) - numbers).max() <= 1
    assert np.unpackbits(shard.masks[0]).sum() == known
    assert PREPARATION == 1
