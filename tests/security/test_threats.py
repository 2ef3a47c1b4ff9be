"""The list of threats: complete, its tests there, its controls there, and the page in step with it."""

from __future__ import annotations

import ast
import json
from functools import cache

from tests.faults.guards import _found
from tests.faults.running import ROOT
from tests.security import report, running
from tests.security.threats import THREATS


@cache
def functions(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in tree.body if isinstance(node, kinds))


def test_every_threat_of_the_specification_is_there_and_more():
    assert [threat.number for threat in THREATS] == list(range(1, len(THREATS) + 1))
    assert len(THREATS) >= 30
    for threat in THREATS:
        assert threat.tests, threat.number
        # Either it was seen to fail, or the page says honestly what nobody saw.
        assert threat.shown or threat.controls or threat.rest, threat.number


def test_every_test_named_exists():
    named = {
        name
        for threat in THREATS
        for name in (*threat.tests, *threat.controls, *(one.test for one in threat.shown))
    }
    assert len(named) > 100
    for name in sorted(named):
        file, _, test = name.partition("[")[0].partition("::")
        assert any(one.startswith("test_") for one in functions(file)), name
        assert not test or test in functions(file), name


def test_every_control_is_where_the_list_says():
    for one in running.shown():
        for place in one.guard.instead:
            _found(place)


def test_every_control_was_taken_away_and_missed():
    seen = json.loads(report.OBSERVED.read_text(encoding="utf-8"))["controls"]
    assert set(seen) == {f"{one.guard.name} | {one.test}" for one in running.shown()}
    names = {one.guard for one in running.shown()}
    assert len({guard.name for guard in names}) == len(names)
    assert set(seen.values()) <= {"its test fails", "not run here"}
    assert list(seen.values()).count("its test fails") >= 0.9 * len(seen)


def test_the_page_is_in_step():
    seen = json.loads(report.OBSERVED.read_text(encoding="utf-8"))
    assert report.PAGE.read_text(encoding="utf-8") == report.page(seen), (
        "python -m tests.security.report --page"
    )
