"""What in the product stands between a fault and its harm, and how to take it away.

A guard is taken away by putting something else in its place, in this process (`Guard.removed`) and in those
that are started for a test (`remove_named`, by an environment variable). The tests of the table must fail
then.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

VARIABLE = "SPECTRALID_TESTS_WITHOUT"


@dataclass(frozen=True, eq=False)
class Guard:
    """A line of defence.

    Attributes
    ----------
    name : str
        Short, as in the report.
    words : str
        What it does while it is there.
    instead : mapping of str to callable
        What is put in place of ``module:attribute`` or ``module:Class.attribute`` to take it away; called to
        make that, so that nothing is imported before it is needed.
    """

    name: str
    words: str
    instead: Mapping[str, Callable[[], Any]]

    def remove(self) -> Callable[[], None]:
        """Take it away; gives what puts it back."""
        undo: list[tuple[Any, str, Any]] = []
        for place, make in self.instead.items():
            target, attribute = _found(place)
            undo.append((target, attribute, vars(target)[attribute]))
            setattr(target, attribute, make())

        def put_back() -> None:
            for target, attribute, before in undo:
                setattr(target, attribute, before)

        return put_back

    @contextlib.contextmanager
    def removed(self) -> Iterator[None]:
        """Without it, here and in the processes started meanwhile."""
        put_back = self.remove()
        os.environ[VARIABLE] = self.name
        try:
            yield
        finally:
            del os.environ[VARIABLE]
            put_back()


def _found(place: str) -> tuple[Any, str]:
    module, _, path = place.partition(":")
    target: Any = importlib.import_module(module)
    *owners, attribute = path.split(".")
    for owner in owners:
        target = getattr(target, owner)
    if attribute not in vars(target):
        raise LookupError(f"{place} is not there: nothing is guarded")
    return target, attribute


def remove_named(environ: Mapping[str, str]) -> None:
    """Take away for good the guard that the environment names, if it names one."""
    if name := environ.get(VARIABLE):
        from tests.faults.reachback import GUARDS

        next(guard for guard in GUARDS if guard.name == name).remove()
