"""Running tests of the tables, with every guard in place and with one after the other taken away.

As a plugin of pytest (``-p tests.faults.running``) it notes how each test ended, and what it showed, in the
file that the environment names; what stands there already, as it should, is not run again. Without guards it
runs each test that has some once more without each of them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from spectralid.errors import SpectralIDError
from tests.real_data import FOLDER

ROOT = Path(__file__).resolve().parents[2]
_FILE = "SPECTRALID_TESTS_OUTCOMES"
_COLLECTED = "SPECTRALID_TESTS_COLLECTED"
_WITHOUT = "SPECTRALID_TESTS_GUARDS_TAKEN"
_WATCHED_S = 5.0
_LONGEST = 200

# A test that ends like this was not reached by the harm, but broken by how the guard was taken away.
_CLUMSY = ("AttributeError", "ImportError", "KeyError", "LookupError", "NameError", "TypeError")
# Folders that are other ones next time say nothing.
_PLACES = re.compile(
    rf"{re.escape(str(ROOT))}/|{re.escape(str(FOLDER))}/|(/[\w.-]+)+/pytest-\d+/[^/\s]+/?|/(tmp|dev/shm)/[\w.-]+/?"
)


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
    said : tuple of str
        Errors of the family that it saw, each kind once, and what it recorded as ``observed``.
    seconds : float
        How long it took by the clock.
    """

    test: str
    guard: str
    how: str
    why: str
    said: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def is_noticed(self) -> bool:
        """Whether the test failed for want of the guard."""
        return self.how == "failed" and not self.why.startswith(_CLUMSY)


def read(file: Path) -> list[Outcome]:
    """What stands in a file of outcomes; a line that was cut off counts for nothing."""
    found = []
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        try:
            said = json.loads(line)
        except ValueError:
            continue
        found.append(Outcome(**{**said, "said": tuple(said["said"])}))
    return found


def run(
    tests: Sequence[str],
    *,
    without_guards: bool = False,
    file: Path | None = None,
    told: Callable[[int], None] = lambda done: None,
) -> list[Outcome]:
    """Run tests in a process of their own.

    Parameters
    ----------
    tests : sequence of str
        Node ids.
    without_guards : bool
        Once for each guard of each test, without it, instead of once with all.
    file : Path, optional
        Where outcomes are noted; tests whose outcome stands there are not run again.
    told : callable
        Told now and then how many outcomes there are.
    """
    with tempfile.TemporaryDirectory() as folder:
        noted = file or Path(folder) / "outcomes"
        noted.touch()
        there = Path(folder) / "collected"
        without = "1" if without_guards else ""
        environ = {**os.environ, _FILE: str(noted), _COLLECTED: str(there), _WITHOUT: without}
        command = [sys.executable, "-m", "pytest", "-p", "tests.faults.running", "-q"]
        words = Path(folder) / "words"
        with words.open("w", encoding="utf-8") as out:
            process = subprocess.Popen(
                [*command, "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist", *dict.fromkeys(tests)],
                cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip
            while True:
                try:
                    process.wait(_WATCHED_S)
                    break
                except subprocess.TimeoutExpired:
                    told(len(read(noted)))
        # Of an earlier attempt there may be outcomes of tests that are called otherwise now.
        known = set(there.read_text(encoding="utf-8").split("\n")) if there.exists() else set()
        found = [one for one in read(noted) if bool(one.guard) is without_guards and one.test in known]
        if not found:
            raise RuntimeError(f"no test was run: {words.read_text(encoding='utf-8')[-6000:]}")
        return found


# --- within that process -----------------------------------------------------------------------------------


class _Watched:
    """The context of ``pytest.raises``, which notes the error that came."""

    def __init__(self, context: Any) -> None:
        self._context = context

    def __enter__(self) -> Any:
        return self._context.__enter__()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> Any:
        if isinstance(error, SpectralIDError):
            _seen.append(f"{type(error).__name__}: {error}")
        return self._context.__exit__(kind, error, trace)


_seen: list[str] = []


def pytest_configure() -> None:
    """Watch what errors the tests expect and get."""
    if _FILE not in os.environ:
        return
    plain = pytest.raises

    def raises(*args: Any, **options: Any) -> Any:
        context = plain(*args, **options)
        # Called with a function it has run that already, and gives what was raised.
        return _Watched(context) if hasattr(context, "__exit__") else context

    pytest.raises = raises  # type: ignore[assignment]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what has been run before; what failed is tried again."""
    if _FILE not in os.environ:
        return
    Path(os.environ[_COLLECTED]).write_text("\n".join(item.nodeid for item in items), encoding="utf-8")
    there = {(one.test, one.guard): one.how for one in read(Path(os.environ[_FILE]))}
    ended = ("failed", "skipped") if os.environ[_WITHOUT] else ("passed", "skipped")
    done = [i for i in items if all(there.get((i.nodeid, guard)) in ended for guard in _guards(i))]
    config.hook.pytest_deselected(items=done)
    items[:] = [item for item in items if item not in done]


def _guards(item: pytest.Item) -> list[str]:
    """What is taken away for this test; nothing is, where guards stay."""
    from tests.faults.reachback import ROWS

    if not os.environ[_WITHOUT]:
        return [""]
    return [s.guard.name for row in ROWS for s in row.shown if s.test == item.nodeid]


def _note(item: pytest.Item, reports: Sequence[pytest.TestReport], guard: str, seconds: float) -> None:
    how, why = "passed", ""
    for report in reports:
        if report.skipped:
            how, why = "skipped", str(report.longrepr)
        elif report.failed:
            how = "failed" if report.when == "call" else "error"
            crash: Any = getattr(report.longrepr, "reprcrash", None)
            why = (crash.message if crash else str(report.longrepr)).strip().partition("\n")[0]
            break
    recorded = [str(value) for name, value in item.user_properties if name == "observed"]
    kinds = {text.partition(":")[0]: text for text in reversed(_seen)}
    said = tuple(" ".join(_PLACES.sub("", text).split())[:_LONGEST] for text in (*recorded, *kinds.values()))
    outcome = Outcome(item.nodeid, guard, how, _PLACES.sub("", why)[:300], said, round(seconds, 2))
    with Path(os.environ[_FILE]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(outcome)) + "\n")


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run one test: as it is, or without each of its guards in turn."""
    from _pytest.runner import runtestprotocol

    from tests.faults.reachback import GUARDS

    if _FILE not in os.environ:
        return None

    def one(guard: str, following: pytest.Item | None) -> None:
        _seen.clear()
        begun = time.monotonic()
        reports = runtestprotocol(item, nextitem=following, log=False)
        _note(item, reports, guard, time.monotonic() - begun)

    if not os.environ[_WITHOUT]:
        one("", nextitem)
        return True
    guards = {guard.name: guard for guard in GUARDS}
    names = list(dict.fromkeys(_guards(item)))
    for name in names:
        item._initrequest()  # type: ignore[attr-defined]
        # Without a next one, everything is taken down and made anew.
        with guards[name].removed():
            one(name, nextitem if name == names[-1] else None)
    return True
