"""What in the product stands between a fault and its harm, and how to take it away.

A guard is taken away by putting something else in its place, in this process (`removed`) or in one that is
started for a test (`remove_named`, by an environment variable). The tests of the table must fail then.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

VARIABLE = "SPECTRALID_TESTS_WITHOUT"


@dataclass(frozen=True)
class Guard:
    """A line of defence.

    Attributes
    ----------
    name : str
        Short, as in the report.
    place : str
        ``module:attribute`` or ``module:Class.attribute``.
    instead : Any
        What is put there.
    words : str
        What it does when it is there.
    """

    name: str
    place: str
    instead: Any
    words: str

    def _target(self) -> tuple[Any, str]:
        module, _, path = self.place.partition(":")
        target: Any = importlib.import_module(module)
        *owners, attribute = path.split(".")
        for owner in owners:
            target = getattr(target, owner)
        assert attribute in vars(target), f"{self.place} is not there: {self.name} guards nothing"
        return target, attribute

    def there(self) -> bool:
        """Whether the product still has it."""
        try:
            self._target()
        except (ImportError, AttributeError, AssertionError):
            return False
        return True

    def remove(self) -> Callable[[], None]:
        """Take it away; gives what puts it back."""
        target, attribute = self._target()
        before = vars(target)[attribute]
        setattr(target, attribute, self.instead)
        return lambda: setattr(target, attribute, before)


def remove_named(environ: Mapping[str, str]) -> None:
    """Take away for good the guard that the environment names, if it names one."""
    if name := environ.get(VARIABLE):
        from tests.reachback.faults.table import GUARDS

        GUARDS[name].remove()


@contextlib.contextmanager
def removed(guard: Guard) -> Iterator[None]:
    """Without it, here and in the processes started meanwhile."""
    import os

    put_back = guard.remove()
    os.environ[VARIABLE] = guard.name
    try:
        yield
    finally:
        del os.environ[VARIABLE]
        put_back()
