"""What a tablet recorded comes out again: from its packets, in a fresh process, to the same verdict."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spectralid import Spectrum, __version__
from spectralid.casework.errors import PacketError
from spectralid.casework.exchange import export_packets
from spectralid.casework.keys import SigningKey
from spectralid.casework.packet import Packet, open_packet, seal
from spectralid.casework.store import CaseStore
from spectralid.cli import main
from spectralid.cli._exit import Exit
from spectralid.errors import TechniqueError
from spectralid.identify import Identifier
from spectralid.library import open_library
from spectralid.library.combine import subset_library
from spectralid.qa.replaying import replay
from spectralid.spectrum import Acquisition, ProcessingStep
from spectralid.tablet import FieldUnit
from spectralid.verdict import PolicyKeeper
from tests.robustness.spectra import HOSTILE

COMMAND = "import sys; from spectralid.cli import main; sys.exit(main())"


def scanned(engine: Identifier, slug: str, seed: int = 1, **facts: Any) -> Spectrum:
    row = next(r for r in engine.library.rows("raman") if r.compound_slug == slug)
    reference = engine.library.reference(row.id).spectrum
    shape = (reference.intensity - np.nanmin(reference.intensity)) / np.ptp(reference.intensity)
    counts = np.random.default_rng(seed).poisson(4000 * shape + 1500).astype(float)
    return reference.replace(intensity=counts, unit="counts", acquisition=Acquisition(**facts))


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory, engine: Identifier) -> Path:
    """A tablet's record after an hour of work, handed over on a stick."""
    folder = tmp_path_factory.mktemp("tablet")
    keeper = PolicyKeeper(folder / "policy")
    with CaseStore.open(folder / "record", ballast_bytes=1 << 16) as store:
        unit = FieldUnit(
            store, engine.library, keeper=keeper, engine=engine, officer="K-17", site="Nogales", language="es"
        )
        item = unit.add_item(
            unit.open_seizure(place="Lane 4", mode="land"),
            label="bag 1", container="pe", declared={"text": "lactose"},
        )  # fmt: skip
        calibrated = scanned(engine, "acetaminophen", laser_nm=785.0, serial="A-1")
        step = ProcessingStep("axis_calibration", {"sd_cm1": 0.4})
        unit.record_scan(item, calibrated.replace(history=(step,)))
        unit.declare(item, text="sugar")
        unit.record_scan(item, scanned(engine, "caffeine", 2))
        unit.record_scan(item, HOSTILE["sd partly missing"]())
        unit.record_scan(item, HOSTILE["constant"]())
        export_packets(store, folder / "stick", everything=True)
    return folder / "stick"


@pytest.fixture(scope="module")
def scans(record: Path) -> list[Packet]:
    packets = [open_packet(file.read_bytes(), None) for file in sorted(record.rglob("*.sidpkt"))]
    return sorted((p for p in packets if p.kind == "scan"), key=lambda packet: packet.seq)


def altered(packet: Packet, **changes: Any) -> Packet:
    """The packet with its result changed, signed by somebody else."""
    manifest = json.loads(packet.payload)
    for path, value in changes.items():
        place = manifest["result"]
        *way, last = path.split("__")
        for step in way:
            place = place[int(step) if step.isdigit() else step]
        if value is None:
            del place[last]
        else:
            place[last] = value
    manifest.pop("blobs")
    return open_packet(seal(manifest, packet.blobs, SigningKey.generate()), None)


def test_every_recorded_scan_comes_out_again_to_the_last_bit(scans: list[Packet], engine: Identifier) -> None:
    assert len(scans) == 4
    for packet in scans:
        outcome = replay(packet, engine)
        assert outcome.status == "same", outcome.text()
        assert outcome.bit_identical
        assert outcome.deviations == outcome.conditions == outcome.unstated == ()
        assert "to the last bit" in outcome.text()
        # Honest about what this is not.
        assert any("strips" in part for part in outcome.not_replayed)
    assert {p.manifest["result"]["verdict"]["kind"] for p in scans} >= {"identified", "poor_signal"}


def test_the_command_replays_in_a_fresh_process_elsewhere(record: Path, tmp_path: Path) -> None:
    variables = {"PYTHONHASHSEED": "99", "TZ": "Asia/Kathmandu", "LC_ALL": "C", "OPENBLAS_NUM_THREADS": "2"}
    folders = sorted({str(file.parent) for file in record.rglob("*.sidpkt")})
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "qa", "replay", "--json", *folders],
        cwd=tmp_path, env={**os.environ, **variables}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == Exit.IDENTIFIED, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["summary"]["same"] == 4
    assert all(one["bit_identical"] for one in told["replays"])


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"decision": "no_match"}, "decision"),
        ({"components__0__share": 0.5}, "components[0].share"),
        ({"components__0__probability": 0.2}, "components[0].probability"),
        ({"candidates__0__score": 0.1}, "candidates[0].score"),
        ({"verdict__alarm": "none"}, "verdict.alarm"),
        ({"verdict__named": ["lactose"]}, "verdict.named[0]"),
        ({"verdict__words": "Harmless."}, "verdict.words"),
        ({"refused": "No."}, "refused"),
    ],
)
def test_an_altered_result_is_found_and_named(
    scans: list[Packet], engine: Identifier, changes: dict[str, Any], named: str
) -> None:
    outcome = replay(altered(scans[0], **changes), engine)
    assert outcome.status == "different"
    assert named in [deviation.what for deviation in outcome.deviations]
    assert "NOT the result on record" in outcome.text()
    assert outcome.keyid != scans[0].keyid


def test_a_difference_within_the_tolerance_is_none(scans: list[Packet], engine: Identifier) -> None:
    share = scans[0].manifest["result"]["components"][0]["share"]
    outcome = replay(altered(scans[0], components__0__share=share - 1e-9), engine)
    assert outcome.status == "same"
    assert outcome.largest_difference == pytest.approx(1e-9, rel=0.01)


def test_another_version_is_compared_all_the_same_and_said(scans: list[Packet], engine: Identifier) -> None:
    outcome = replay(altered(scans[0], engine__version="0.0.9", engine__numpy="1.26.0"), engine)
    assert outcome.status == "same"
    assert {c.what: c.recorded for c in outcome.conditions} == {
        "engine.version": "0.0.9",
        "engine.numpy": "1.26.0",
    }
    assert f"made otherwise: engine.version: recorded 0.0.9, now {__version__}" in outcome.text()


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"verdict__policy": "agency 9 0123456789ab"}, "policy"),
        ({"engine__instrument_model": {"name": "unit 7", "sha256": "00"}}, "engine.instrument_model"),
        ({"engine__family_model": "00"}, "engine.family_model"),
        ({"library__sha256": "0" * 64}, "library.sha256"),
    ],
)
def test_what_was_made_with_something_else_is_not_compared(
    scans: list[Packet], engine: Identifier, changes: dict[str, Any], what: str
) -> None:
    packet = altered(scans[0], **changes)
    outcome = replay(packet, engine)
    assert outcome.status == "not_compared"
    assert [c.what for c in outcome.conditions] == [what]
    assert outcome.bit_identical is None
    assert "not compared" in outcome.text()
    assert replay(packet, engine, anyway=True).status == "same"


def test_a_packet_of_before_says_what_it_does_not_say(scans: list[Packet], engine: Identifier) -> None:
    engine_before = {k: scans[0].manifest["result"]["engine"][k] for k in ("version", "ranking", "fit")}
    outcome = replay(altered(scans[0], engine=engine_before), engine)
    assert outcome.status == "same"
    assert "instrument model (taken as it is here)" in outcome.unstated


def test_another_library_is_another_answer(
    record: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], engine: Identifier
) -> None:
    subset = tmp_path / "raman.h5"
    subset_library(engine.library, subset, techniques=["raman"], tiers=["literature"])
    folders = sorted({str(file.parent) for file in record.rglob("*.sidpkt")})
    assert main(["qa", "replay", "--library", str(subset), *folders]) == Exit.LIBRARY
    shown = capsys.readouterr().out
    assert "4 not compared" in shown
    assert "made otherwise: library.sha256" in shown


def test_exit_codes_for_scripts(
    scans: list[Packet], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = tmp_path / "changed.sidpkt"
    changed.write_bytes(altered(scans[0], verdict__alarm="none").raw)
    assert main(["qa", "replay", str(changed)]) == Exit.DIFFERENT
    assert "verdict.alarm: recorded none" in capsys.readouterr().out
    broken = tmp_path / "broken.sidpkt"
    broken.write_bytes(scans[0].raw[:-100])
    assert main(["qa", "replay", str(broken)]) == Exit.UNREADABLE
    assert "broken.sidpkt" in capsys.readouterr().err


def test_a_refusal_comes_out_again(tmp_path: Path, engine: Identifier) -> None:
    subset = tmp_path / "raman.h5"
    subset_library(engine.library, subset, techniques=["raman"], tiers=["literature"])
    infrared = scanned(engine, "acetaminophen").replace(technique="ftir_atr", unit="absorbance")
    with FieldUnit.open(tmp_path / "record", library=subset, officer="K-17") as unit:
        item = unit.add_item(unit.open_seizure())
        with pytest.raises(TechniqueError):
            unit.record_scan(item, infrared)
        (packet,) = unit.item(item).scans
    with open_library(subset) as library:
        assert replay(packet, Identifier(library)).status == "same"
        other = altered(packet, refused="It was too dark.")
        assert [d.what for d in replay(other, Identifier(library)).deviations] == ["refused"]


def test_what_holds_no_result_is_refused(scans: list[Packet], engine: Identifier) -> None:
    with pytest.raises(PacketError, match="only scans have results"):
        replay(replace(scans[0], kind="seizure"), engine)
    with pytest.raises(PacketError, match="cannot be read"):
        replay(altered(scans[0], verdict=None), engine)
