"""Running the tests of the threats as they are, and once more without the control that each is for.

As a plugin of pytest (``-p tests.security.running``) it prints how each test ended with and without. What the
list of faults shows is taken away there, each time the tests run (`tests/reachback/faults/test_table.py`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence

import pytest

from tests.faults import reachback
from tests.faults.rows import Shown
from tests.faults.running import ROOT, Outcome
from tests.security.threats import THREATS

__all__ = ["elsewhere", "run", "shown"]

_RUNNING = "SPECTRALID_TESTS_CONTROLS"
_MARK = "SPECTRALID-OUTCOME "


def shown() -> tuple[Shown, ...]:
    """Every control with its test, once."""
    found = {(one.guard.name, one.test): one for threat in THREATS for one in threat.shown}
    return tuple(found.values())


def elsewhere(one: Shown) -> bool:
    """Whether the list of faults takes it away."""
    return any(one in row.shown for row in reachback.ROWS)


def run(some: Sequence[Shown]) -> Iterator[Outcome]:
    """Run tests in a process of their own, each with its controls and without each of them.

    Parameters
    ----------
    some : sequence of Shown
        Which.
    """
    command = [sys.executable, "-m", "pytest", "-p", "tests.security.running", "-q", "-s", "--no-header"]
    process = subprocess.Popen(
        [*command, "-p", "no:cacheprovider", "-p", "no:xdist", *dict.fromkeys(one.test for one in some)],
        cwd=ROOT, env={**os.environ, _RUNNING: "1"}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if _MARK in line:
            yield Outcome(**json.loads(line.partition(_MARK)[2]))
    process.wait()
    if not any(_MARK in line for line in said):
        raise RuntimeError("no test was run: " + "".join(said[-40:]))


# --- within that process -----------------------------------------------------------------------------------


def _note(item: pytest.Item, reports: Sequence[pytest.TestReport], guard: str) -> None:
    how, why = "passed", ""
    for report in reports:
        if report.skipped:
            how = "skipped"
        elif report.failed:
            how = "failed" if report.when == "call" else "error"
            crash = getattr(report.longrepr, "reprcrash", None)
            why = (crash.message if crash else str(report.longrepr)).strip().partition("\n")[0][:200]
            break
    print(f"\n{_MARK}{json.dumps({'test': item.nodeid, 'guard': guard, 'how': how, 'why': why})}", flush=True)


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run one test as it is, and then without each of its controls."""
    from _pytest.runner import runtestprotocol

    if _RUNNING not in os.environ:
        return None
    guards = [one.guard for one in shown() if one.test == item.nodeid and not elsewhere(one)]
    _note(item, runtestprotocol(item, nextitem=None if guards else nextitem, log=False), "")
    for guard in guards:
        item._initrequest()  # type: ignore[attr-defined]
        following = nextitem if guard is guards[-1] else None
        with guard.removed():
            _note(item, runtestprotocol(item, nextitem=following, log=False), guard.name)
    return True
