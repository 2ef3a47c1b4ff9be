"""Transfer to daughter units: a sound one is accepted, a worse one and a study too small are not."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import pytest

from spectralid.cli import main
from spectralid.cli._exit import Exit
from spectralid.errors import ParameterError
from spectralid.io import write
from spectralid.qa.manifest import Manifest, Sample
from spectralid.qa.study import Outcome, Study
from spectralid.qa.tables import summary
from spectralid.qa.transfer import transfer
from spectralid.qa.transfer_report import transfer_document, transfer_facts
from tests.reachback.bench import SUBSTANCES, build, spectrum


def outcome(
    unit: str, specimen: str, right: bool = True, *, dangerous: bool = True, alarm: str = ""
) -> Outcome:
    sample = Sample(2, Path("x.spc"), 0, ("a",), unit=unit, group=specimen)
    said = alarm or ("danger" if dangerous and right else "notice")
    named = ("a",) if right else ()
    kind = "identified" if right else "no_match"
    return Outcome(sample, ("a",), (), kind, named=named, alarm=said, dangerous=dangerous)


def study(*outcomes: Outcome) -> Study:
    manifest = Manifest("manifest.csv", "0" * 64, tuple(one.sample for one in outcomes))
    return Study(outcomes, manifest, "mine", "1", "1" * 64, "default 1")


def units(n: int, **lost: int) -> Study:
    """A parent that is always right, and daughters that lose so many of the specimens."""
    made = [outcome("P", f"s{k}") for k in range(n)]
    for unit, count in lost.items():
        made += [outcome(unit, f"s{k}", k >= count) for k in range(n)]
    return study(*made)


def test_a_sound_daughter_is_accepted_and_a_worse_one_is_not() -> None:
    found = transfer(units(100, D1=0, D2=2, D3=30), "P")
    assert [(one.unit, one.accepted) for one in found.daughters] == [
        ("D1", True),
        ("D2", True),
        ("D3", False),
    ]
    assert not found.accepted
    assert (found.daughters[2].losses[0].lost, found.daughters[2].losses[0].won) == (30, 0)
    assert "complete" in found.daughters[2].reasons[0]
    assert found.daughters[0].rates["alarm_found"].value == 1.0


def test_no_loss_in_a_few_specimens_proves_little() -> None:
    (small,) = transfer(units(20, D=0), "P").daughters
    assert not small.accepted
    # None of 20 lost: up to 1 - 0.05**(1/20) may be.
    assert small.losses[0].upper == pytest.approx(1 - 0.05 ** (1 / 20))
    assert transfer(units(29, D=0), "P").accepted


def test_what_is_won_makes_up_for_what_is_lost() -> None:
    made = [outcome("P", f"s{k}", k >= 5) for k in range(100)]
    made += [outcome("D", f"s{k}", not 5 <= k < 10) for k in range(100)]
    (daughter,) = transfer(study(*made), "P").daughters
    (complete, _) = daughter.losses
    assert (complete.lost, complete.won, complete.value) == (5, 5, 0.0)
    assert complete.upper > 0.02


def test_a_silent_daughter_is_seen() -> None:
    made = [outcome("P", f"s{k}") for k in range(60)]
    quiet = [dataclasses.replace(outcome("D", f"s{k}"), alarm="notice") for k in range(60)]
    (daughter,) = transfer(study(*made, *quiet), "P").daughters
    assert daughter.rates["complete"].value == 1.0
    assert daughter.rates["silent"].value == 1.0
    assert [loss.what for loss in daughter.losses if loss.upper > 0.1] == ["alarm"]


def test_alarms_are_counted_apart_for_what_is_dangerous_and_what_is_not() -> None:
    rates = summary(
        [
            outcome("P", "1"),
            outcome("P", "2", alarm="unknown"),
            outcome("P", "3", alarm="notice"),
            outcome("P", "4", dangerous=False),
            outcome("P", "5", dangerous=False, alarm="danger"),
            dataclasses.replace(outcome("P", "6"), dangerous=None),
        ]
    )
    assert (rates["alarm_found"].hits, rates["alarm_found"].of) == (1, 3)
    assert (rates["silent"].hits, rates["silent"].of) == (1, 3)
    assert (rates["alarm_false"].hits, rates["alarm_false"].of) == (1, 2)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ParameterError, match="parent"):
        transfer(units(5, D=0), "Q")
    with pytest.raises(ParameterError, match="daughters"):
        transfer(units(5), "P")
    with pytest.raises(ParameterError, match="group"):
        transfer(study(outcome("P", "1"), outcome("D", "2")), "P")
    with pytest.raises(ParameterError, match="margin"):
        transfer(units(5, D=0), "P", margin=0)


def test_the_report_says_who_is_not_accepted() -> None:
    made = units(100, D1=0, D3=30)
    found = transfer(made, "P")
    texts = [getattr(block, "text", "") for block in transfer_document(found, made).blocks]
    assert texts[0] == "Not accepted: D3; see below."
    facts = json.loads(json.dumps(transfer_facts(found), allow_nan=False))
    assert [one["accepted"] for one in facts["daughters"]] == [True, False]


def test_the_command_judges_units_by_their_spectra(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A daughter whose axis is 120 cm⁻¹ off loses what the parent names."""
    build(tmp_path / "parent.h5", [(slug, 7) for slug in SUBSTANCES[:4]]).close()
    rows = ["file,truth,unit,group"]
    for unit, shift in (("P", 0.0), ("far", 120.0)):
        for number, slug in enumerate(SUBSTANCES[:4]):
            scan = spectrum(slug, seed=300 + number)
            name = f"{unit}-{slug}.jdx"
            write(
                type(scan)(scan.axis + shift, scan.intensity, technique="raman", unit="counts"),
                tmp_path / name,
            )
            rows.append(f"{name},{slug},{unit},{slug}")
    (tmp_path / "m.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    command = ["qa", "transfer", str(tmp_path / "m.csv"), "--parent", "P", "--jobs", "1", "--json"]
    assert main([*command, "--library", str(tmp_path / "parent.h5")]) == Exit.GOAL_MISSED
    facts = json.load(io.StringIO(capsys.readouterr().out))
    assert facts["parent"]["complete"]["hits"] == 4
    (far,) = facts["daughters"]
    assert far["complete"]["hits"] == 0
    assert far["losses"][0]["lost"] == 4
