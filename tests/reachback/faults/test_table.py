"""The table of faults itself: complete, its tests there, and each of its guards missed by its test."""

from __future__ import annotations

import ast

import pytest

from tests.reachback.faults import running, table

SHOWN = [shown for row in table.ROWS for shown in row.shown]


def test_all_32_rows_are_there_and_each_has_a_test():
    assert [row.number for row in table.ROWS] == list(range(1, 33))
    for row in table.ROWS:
        assert row.tests, row.number
        assert row.shown or row.controls or row.remark or row.number == 24, row.number
    names = [guard.name for guard in table.GUARDS]
    assert len(set(names)) == len(names)


def test_every_test_named_exists():
    """By name; the cases of a test that is run without a guard are looked for when it is."""
    functions: dict[str, set[str]] = {}
    for row in table.ROWS:
        for name in (*row.tests, *row.controls, *(shown.test for shown in row.shown)):
            file, _, test = name.partition("[")[0].partition("::")
            if file not in functions:
                tree = ast.parse((running.ROOT / file).read_text(encoding="utf-8"))
                functions[file] = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
            assert any(one.startswith("test_") for one in functions[file]), name
            assert not test or test in functions[file], name


@pytest.mark.parametrize("shard", range(3))
def test_each_guard_taken_away_makes_its_test_fail(shard):
    some = SHOWN[shard::3]
    outcomes = {
        (one.test, one.guard): one for one in running.run([shown.test for shown in some], without_guards=True)
    }
    for shown in some:
        one = outcomes[shown.test, shown.guard.name]
        assert one.is_noticed or one.how == "skipped", one
