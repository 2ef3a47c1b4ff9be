from __future__ import annotations

import csv
from pathlib import Path

import pytest

from spectralid.identify.families import FAMILIES
from spectralid.library import Compound
from spectralid.verdict.hazards import Alarm, alarm_of, alarm_of_family, precautions, worst


def compound(**facts: object) -> Compound:
    return Compound("x", "X", **facts)


@pytest.mark.parametrize(
    ("facts", "alarm"),
    [
        ({"hazards": ("none",)}, Alarm.NOTICE),
        ({"hazards": ("flammable",)}, Alarm.WARNING),
        ({"hazards": ("flammable", "highly-toxic")}, Alarm.DANGER),
        ({"hazards": ("ultra-potent-opioid", "controlled")}, Alarm.DANGER),
        ({"hazards": ()}, Alarm.UNKNOWN),
        ({"hazards": ("glows-in-the-dark",)}, Alarm.UNKNOWN),
        ({"hazards": ("none",), "schedule": "II"}, Alarm.WARNING),
        ({"hazards": ("none",), "schedule": "List I"}, Alarm.WARNING),
        ({"category": "opioid/nitazene"}, Alarm.DANGER),
        ({"hazards": ("none",), "category": "opioid/fentanyl-analogue"}, Alarm.DANGER),
        ({"hazards": ("none",), "fentanyl_related": "yes"}, Alarm.DANGER),
        ({"hazards": ("none",), "fentanyl_related": "parent"}, Alarm.DANGER),
        ({"hazards": ("none",), "fentanyl_related": "no"}, Alarm.NOTICE),
        *(
            ({"hazards": ("none",), "category": category}, Alarm.DANGER)
            for category in (
                "opioid/fentanyl-like-nonFRS",
                "explosive/primary-peroxide",
                "explosive/military",
                "explosive/improvised-oxidizer",
                "cwa/nerve",
                "cwa/blister",
                "cwa/choking-blood",
            )
        ),
    ],
)
def test_alarm(facts: dict[str, object], alarm: Alarm) -> None:
    assert alarm_of(compound(**facts)) is alarm


def test_most_urgent_precaution_comes_first() -> None:
    lines = precautions([compound(hazards=("flammable", "toxic", "explosive-sensitive"))])
    assert lines[0].startswith("Explosive")
    assert [line.split(":")[0] for line in lines[1:3]] == ["Flammable", "Toxic"]
    assert "Gloves" in lines[-1]


def test_precautions_of_several_are_sorted_and_said_once() -> None:
    mild, bad = compound(hazards=("flammable",)), compound(hazards=("flammable", "ultra-potent-opioid"))
    lines = precautions([mild, bad])
    assert lines == precautions([bad, mild])
    assert lines[0].startswith("Ultra-potent opioid")
    assert sum("Flammable" in line for line in lines) == 1
    assert precautions([mild], unknown=True)[0].startswith("Not named")


def test_every_watched_family_has_a_precaution() -> None:
    for family in FAMILIES:
        if family == "sugar or polyol":
            continue
        assert alarm_of_family(family) in (Alarm.DANGER, Alarm.WARNING)
        assert len(precautions([], [family])) == 2
    assert alarm_of_family("fentanyl-related") is alarm_of_family("nitazene") is Alarm.DANGER
    assert alarm_of_family("something new") is Alarm.UNKNOWN


def test_worst_of_nothing_is_unknown() -> None:
    assert worst([]) is Alarm.UNKNOWN
    assert worst([Alarm.NOTICE, Alarm.WARNING]) is Alarm.WARNING
    assert worst([Alarm.UNKNOWN, Alarm.DANGER]) is Alarm.DANGER


def test_every_hazard_word_of_the_compound_table_is_known(shared_data: Path) -> None:
    table = shared_data.parent / "facts" / "compounds.csv"
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 1000
    for row in rows:
        hazards = tuple(row["hazard"].split("|")) if row["hazard"] else ()
        entry = compound(
            hazards=hazards, category=row["category"], fentanyl_related=row["is_fentanyl_related"]
        )
        assert alarm_of(entry) is not Alarm.UNKNOWN, row["id"]
        if row["is_fentanyl_related"] != "no" or row["category"].startswith("cwa/nerve"):
            assert alarm_of(entry) is Alarm.DANGER, row["id"]
