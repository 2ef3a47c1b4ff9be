"""The lists of faults: every test named is there, and the committed page is that of the lists."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache

import pytest

from spectralid.devices.sim.faults import FAULTS
from tests.faults import devices, observed, page, running
from tests.faults.rooms import ROOMS
from tests.faults.rows import Room


def names(room: Room) -> list[str]:
    every = [(*row.tests, *row.controls, *(shown.test for shown in row.shown)) for row in room.rows]
    return list(dict.fromkeys(name for some in every for name in some))


@cache
def functions(file: str) -> set[str]:
    tree = ast.parse((running.ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_every_test_named_exists(room):
    for name in names(room):
        file, _, test = name.partition("[")[0].partition("::")
        assert any(one.startswith("test_") for one in functions(file)), name
        assert not test or test in functions(file), name


def test_every_case_named_is_collected():
    """Cases of drivers' faults come from the tests themselves; those that were written down are collected."""
    cases = {name for room in ROOMS if room is not devices.ROOM for name in names(room) if "[" in name}
    # Those without a guard are run by tests/reachback/faults/test_table.py, by these very names.
    cases -= {shown.test for room in ROOMS for row in room.rows for shown in row.shown}
    cases |= {
        next(row.tests[0] for row in devices.ROOM.rows if row.of == of) for of in devices.MODULES.values()
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *sorted(cases)],
        cwd=running.ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    assert cases <= set(done.stdout.splitlines())


def test_every_fault_of_an_instrument_is_there_for_every_driver():
    for driver in devices.MODULES.values():
        numbers = {row.number for row in devices.ROOM.rows if row.of == driver}
        assert numbers == set(range(1, 1 + len(FAULTS)))
        # What does not apply says why; everything else has a test.
        assert all(row.tests or row.remark for row in devices.ROOM.rows)


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_no_row_is_there_twice(room):
    keys = [row.key for row in room.rows if row.tests]
    assert len(set(keys)) == len(keys)
    assert all(row.fault and (row.expected or row.remark) for row in room.rows)


def test_the_page_is_that_of_the_lists_and_of_what_was_observed():
    written = page.PAGE.read_text(encoding="utf-8")
    assert written == page.text(ROOMS, observed.read()), "run python -m tests.faults --page"


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_what_was_observed_is_what_was_expected(room):
    """Also: each row was run as it stands, with the tests it names now."""
    seen = observed.read()
    assert list(page.wrong(room, seen)) == [], f"run python -m tests.faults --room {room.name}"
