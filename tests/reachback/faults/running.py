"""Running the tests of the table, with every guard in place and with one after the other taken away.

As a plugin of pytest (``-p tests.reachback.faults.running``) it notes how each test ended, in the file that
the environment names, and runs each test of `table.ROWS` that has guards once more without each of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.reachback.faults import table

ROOT = Path(__file__).resolve().parents[3]
_FILE = "SPECTRALID_TESTS_OUTCOMES"
_WITHOUT = "SPECTRALID_TESTS_GUARDS_TAKEN"

# A test that ends like this was not reached by the harm, but broken by how the guard was taken away.
_CLUMSY = ("AttributeError", "ImportError", "KeyError", "LookupError", "NameError", "TypeError")


@dataclass(frozen=True)
class Outcome:
    """How a test ended.

    Attributes
    ----------
    test : str
        Node id.
    guard : str
        What was taken away; empty if nothing was.
    how : {"passed", "failed", "skipped", "error"}
        ``error``: it did not get as far as the test itself.
    why : str
        The last line of what it said.
    """

    test: str
    guard: str
    how: str
    why: str

    @property
    def is_noticed(self) -> bool:
        """Whether the test failed for want of the guard."""
        return self.how == "failed" and not self.why.startswith(_CLUMSY)


def run(tests: Sequence[str], *, without_guards: bool = False) -> list[Outcome]:
    """Run tests in a process of their own.

    Parameters
    ----------
    tests : sequence of str
        Node ids.
    without_guards : bool
        Once for each guard of each test, without it, instead of once with all.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "outcomes"
        file.touch()
        environ = {**os.environ, _FILE: str(file), _WITHOUT: "1" if without_guards else ""}
        command = [sys.executable, "-m", "pytest", "-p", "tests.reachback.faults.running", "-q"]
        done = subprocess.run(
            [*command, "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist", *dict.fromkeys(tests)],
            cwd=ROOT, env=environ, capture_output=True, text=True, check=False,
        )  # fmt: skip
        found = [Outcome(**json.loads(line)) for line in file.read_text().splitlines()]
        if not found:
            raise RuntimeError(f"no test was run: {done.stdout[-3000:]}{done.stderr[-3000:]}")
        return found


# --- within that process -----------------------------------------------------------------------------------


def _note(item: pytest.Item, reports: Sequence[pytest.TestReport], guard: str) -> None:
    how, why = "passed", ""
    for report in reports:
        if report.skipped:
            how, why = "skipped", str(report.longrepr)
        elif report.failed:
            how = "failed" if report.when == "call" else "error"
            crash: Any = getattr(report.longrepr, "reprcrash", None)
            why = (crash.message if crash else str(report.longrepr)).strip().partition("\n")[0]
            break
    outcome = {"test": item.nodeid, "guard": guard, "how": how, "why": why[:300]}
    with Path(os.environ[_FILE]).open("a") as file:
        file.write(json.dumps(outcome) + "\n")


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run one test: as it is, or without each of its guards in turn."""
    from _pytest.runner import runtestprotocol

    if _FILE not in os.environ:
        return None
    guards = [shown.guard for row in table.ROWS for shown in row.shown if shown.test == item.nodeid]
    if not os.environ[_WITHOUT]:
        _note(item, runtestprotocol(item, nextitem=nextitem, log=False), "")
        return True
    for guard in dict.fromkeys(guards):
        item._initrequest()  # type: ignore[attr-defined]
        # Without a next one, everything is taken down and made anew.
        following = nextitem if guard is guards[-1] else None
        with guard.removed():
            _note(item, runtestprotocol(item, nextitem=following, log=False), guard.name)
    return True
