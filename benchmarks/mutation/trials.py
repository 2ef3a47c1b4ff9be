"""Tests against mutants, each in a process forked after the tests were collected.

Nothing is written into the tree: a mutant in a function is put in place of the function's code, any other is
imported in place of the module. First all tests run once, with coverage by test, so that a mutant meets only
the tests that run its statement, quickest first; the first that fails ends it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.abc
import importlib.util
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkResult

from benchmarks.mutation.groups import ONLY, ROOT, Group
from benchmarks.mutation.mutants import Mutant, Session

# Besides five times what its tests take; the machine does other things too.
LEAST_S = 20.0
# A mutant that outlives so much of its tests has survived: an upper bound, and the page says so.
MOST_S = 3.0
MOST_AGAIN_S = 20.0
MOST_BYTES = 6 << 30
FINE = "fine"
ITSELF = " itself"
# Of a mutant that has met all its tests, and need not meet them a third time.
MARK = ", and more"
NOT_IN = "it could not be put in place"
OPTIONS = ("-q", "--no-header", "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist", *ONLY)


@dataclass
class Reach:
    """What the tests reach, and how long each takes.

    Attributes
    ----------
    tests : dict
        Of each module and line, the tests that run it.
    itself : dict
        Of these, those that run it by themselves, not only while their fixtures are set up.
    seconds : dict
        Of each test.
    """

    tests: dict[tuple[str, int], set[str]]
    itself: dict[tuple[str, int], set[str]]
    seconds: dict[str, float]


def forked(work: Callable[[], str], within_s: float) -> str | None:
    """What `work` says, done in a process of its own; None if it took too long."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.setsid()
        os.close(read)
        resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
        nothing = os.open(os.devnull, os.O_RDWR)
        if not os.environ.get("MUTATION_SHOW"):
            os.dup2(nothing, 1)
            os.dup2(nothing, 2)
        said = "died"
        try:
            said = work()
        except BaseException as error:
            said = f"died: {error!r}"
        finally:
            os.write(write, (said or FINE).encode()[:4000])
            os._exit(0)
    os.close(write)
    end = time.monotonic() + within_s
    late = False
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > end:
            late = True
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            break
        time.sleep(0.002)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what the test has started
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read().decode(errors="replace")
    return None if late else "" if said == FINE else said or "died"


class Trials:
    """A plugin of pytest that runs mutants in place of the tests."""

    def __init__(
        self,
        sessions: Sequence[Session],
        files: Sequence[str],
        again: bool,
        until: float,
        tell: Callable[[str], None],
    ) -> None:
        self.sessions = sessions
        self.files = files
        self.again = again
        self.most_s = MOST_AGAIN_S if again else MOST_S
        self.until = until
        self.tell = tell
        self.failed: str | None = None
        self.fault = ""
        self.cover: Any = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed = report.nodeid

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        no_shrinking()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        if self.cover is not None:
            self.cover.switch_context(item.nodeid + ITSELF)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = {item.nodeid: item for item in session.items}
        first, second = session.items[:2]
        # What lasts for the whole session is made once, here.
        first.ihook.pytest_runtest_protocol(item=first, nextitem=second)
        if self.failed:
            self.fault = f"{self.failed} fails without any mutant"
            return True
        base = Path(session.config._tmp_path_factory.getbasetemp())
        kept = set(base.iterdir())
        reach = self._reach()
        if reach is None:
            return True
        for one in self.sessions:
            for mutant in pending(one, again=self.again):
                if time.time() > self.until:
                    return True
                result = self._try(one, mutant, reach)
                one.db.set_result(mutant.job, result)
                self.tell(f"{result.test_outcome.value:9} {mutant.module}:{mutant.line} {mutant.operator}")
                for path in set(base.iterdir()) - kept:
                    shutil.rmtree(path, ignore_errors=True)
        return True

    def _reach(self) -> Reach | None:
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder) / "coverage"
            files = {str(ROOT / one.module): one.module for one in self.sessions}
            said = forked(lambda: self._measure(data, list(files)), 1200)
            if said is None or said.startswith("died") or "fails" in said:
                self.fault = said or "the tests took too long"
                return None
            import coverage

            found: dict[tuple[str, int], set[str]] = defaultdict(set)
            itself: dict[tuple[str, int], set[str]] = defaultdict(set)
            kept = coverage.CoverageData(str(data))
            kept.read()
            for file in kept.measured_files():
                for line, tests in kept.contexts_by_lineno(file).items():
                    found[files[file], line].update(test.removesuffix(ITSELF) for test in tests if test)
                    itself[files[file], line].update(
                        test.removesuffix(ITSELF) for test in tests if test.endswith(ITSELF)
                    )
            return Reach(found, itself, json.loads(Path(f"{data}.json").read_text()))

    def _measure(self, data: Path, files: list[str]) -> str:
        import coverage

        cover = coverage.Coverage(str(data), branch=True, include=files, config_file=False)
        seconds = {}
        items = list(self.items.values())
        self.cover = cover
        cover.start()
        for item, following in zip(items, [*items[1:], None], strict=True):
            cover.switch_context(item.nodeid)
            begun = time.process_time()
            self._run(item, following)
            seconds[item.nodeid] = time.process_time() - begun
            if self.failed:
                return f"{self.failed} fails without any mutant"
        cover.stop()
        cover.save()
        Path(f"{data}.json").write_text(json.dumps(seconds))
        return ""

    def _run(self, item: pytest.Item, following: pytest.Item | None) -> None:
        item.session._setupstate.teardown_exact(item)
        item.ihook.pytest_runtest_protocol(item=item, nextitem=following)

    def _try(self, one: Session, mutant: Mutant, reach: Reach) -> WorkResult:
        tests, of = self._tests(mutant, reach)
        if not tests:
            return _result("", "no test runs it")

        def work() -> str:
            if not put_in(str(ROOT / mutant.module), one.source, mutant.text):
                return NOT_IN
            items = [self.items[test] for test in tests]
            for item, following in zip(items, [*items[1:], None], strict=True):
                self._run(item, following)
                if self.failed:
                    return f"killed by {self.failed}"
            return ""

        said = forked(work, LEAST_S + 5 * sum(reach.seconds[test] for test in tests))
        return _result(said, f"{len(tests)} tests of {of} that run it{MARK if self.again else ''}")

    def _tests(self, mutant: Mutant, reach: Reach) -> tuple[list[str], int]:
        """The tests a mutant meets, in the order of the group's files; and how many could be asked."""
        places = {Path(name): place for place, name in enumerate(self.files)}
        lines = [(mutant.module, line) for line in mutant.reach]
        able: set[str] = set().union(*(reach.tests.get(line, ()) for line in lines))
        first: set[str] = set().union(*(reach.itself.get(line, ()) for line in lines))
        order = sorted(
            able,
            key=lambda test: (test not in first, places[Path(test.partition("::")[0])], reach.seconds[test]),
        )
        chosen, total = [], 0.0
        for test in order:
            total += reach.seconds[test]
            if chosen and total > self.most_s:
                break
            chosen.append(test)
        return chosen, len(able)


def inside(group: Group, until: float, tell: Callable[[str], None], *, again: bool) -> str:
    """Try what is in functions; what went wrong, if anything did."""
    files = (*group.tests, *group.more) if again else group.tests
    trials = Trials([Session(module) for module in group.modules], files, again, until, tell)
    pytest.main([*OPTIONS, *files], plugins=[trials])
    return trials.fault


def outside(group: Group, until: float, tell: Callable[[str], None], *, again: bool) -> str:
    """Try what is outside of functions: the module is imported as it is now."""
    files = (*group.tests, *group.more) if again else group.tests
    for name in (
        "numpy",
        "hypothesis",
        "sqlalchemy",
        "alembic",
        "msgspec",
        "cryptography",
        "tuf",
        "httpx",
        "fastapi",
    ):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for one in [Session(module) for module in group.modules]:
        for mutant in pending(one, again=again, inside=False):
            if time.time() > until:
                return ""
            with tempfile.TemporaryDirectory() as base:
                said = forked(partial(_imported, mutant, files, base), 240)
            one.db.set_result(
                mutant.job, result := _result(said, f"all of {len(files)} files{MARK if again else ''}")
            )
            tell(f"{result.test_outcome.value:9} {mutant.module}:{mutant.line} {mutant.operator}")
    return ""


def pending(one: Session, *, again: bool, inside: bool = True) -> Iterator[Mutant]:
    """Mutants without a result, in the drawn order; with `again` also those that survived."""
    done = {
        job
        for job, result in one.db.results
        if not again or result.test_outcome is not TestOutcome.SURVIVED or MARK in (result.output or "")
    }
    for job, mutation in one.items():
        if job in done:
            continue
        mutant = one.mutant(job, mutation)
        if mutant is None:
            one.db.set_result(job, WorkResult(WorkerOutcome.SKIPPED, "no program, or the same"))
        elif mutant.inside is inside:
            yield mutant


def put_in(path: str, before: str, after: str) -> bool:
    """Give the functions of the module at `path` the code of the changed text; whether that can be."""
    old, new = _codes(before, path), _codes(after, path)
    if [code.co_qualname for code in old] != [code.co_qualname for code in new]:
        return False
    changed = {one: other for one, other in zip(old, new, strict=True) if one != other}
    done = False
    for function in gc.get_objects():
        if isinstance(function, FunctionType) and function.__code__.co_filename == path:
            other = changed.get(function.__code__)
            if other is not None:
                function.__code__ = other
                done = True
    return done


def _codes(text: str, path: str) -> list[CodeType]:
    """The code of every function, in the order of the text."""
    found: list[CodeType] = []
    todo = [compile(text, path, "exec", dont_inherit=True)]
    while todo:
        code = todo.pop(0)
        found.append(code)
        todo.extend(constant for constant in code.co_consts if isinstance(constant, CodeType))
    return found


class _InPlace(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Gives one module another text."""

    def __init__(self, mutant: Mutant) -> None:
        self.name = mutant.module.removesuffix(".py").replace("/", ".")
        self.path = str(ROOT / mutant.module)
        self.text = mutant.text

    def find_spec(self, name: str, *_: Any) -> Any:
        if name != self.name:
            return None
        return importlib.util.spec_from_file_location(name, self.path, loader=self)

    def get_filename(self, _: str) -> str:
        return self.path

    def get_data(self, _: str) -> bytes:
        return self.text.encode()


def _imported(mutant: Mutant, tests: Sequence[str], base: str) -> str:
    sys.meta_path.insert(0, _InPlace(mutant))
    watch = _First()
    code = pytest.main([*OPTIONS, "-x", f"--basetemp={base}/tmp", *tests], plugins=[watch])
    return f"killed by {watch.failed or code}" if code else ""


class _First:
    """Which test failed, and no time spent on making its example small."""

    failed = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed = report.nodeid

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        no_shrinking()


def no_shrinking() -> None:
    """A failing example of hypothesis is enough; it need not be small, nor be kept."""
    from hypothesis import Phase, settings

    settings.register_profile(
        "mutation", settings.get_profile("spectralid"), phases=(Phase.explicit, Phase.generate), database=None
    )
    settings.load_profile("mutation")


def _result(said: str | None, why: str) -> WorkResult:
    """What a trial came to."""
    if said is None:
        return WorkResult(WorkerOutcome.NORMAL, "timeout", TestOutcome.KILLED)
    if said == NOT_IN:
        return WorkResult(WorkerOutcome.NORMAL, said, TestOutcome.INCOMPETENT)
    return WorkResult(WorkerOutcome.NORMAL, said or why, TestOutcome.KILLED if said else TestOutcome.SURVIVED)
