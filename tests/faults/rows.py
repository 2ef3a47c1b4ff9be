"""What a table of faults is made of."""

from __future__ import annotations

from dataclasses import dataclass

from tests.faults.guards import Guard

__all__ = ["Room", "Row", "Shown"]


@dataclass(frozen=True)
class Shown:
    """A test that fails without a guard.

    Attributes
    ----------
    guard : Guard
        Which.
    test : str
        Node id, of one case of the test where it has several.
    """

    guard: Guard
    test: str


@dataclass(frozen=True)
class Row:
    """A fault.

    Attributes
    ----------
    number : int
        In its list.
    fault, expected : str
        Its words.
    tests : tuple of str
        Node ids; all cases of a test where it has several.
    shown : tuple of Shown
        Guards and the tests that miss them.
    controls : tuple of str
        Tests that take a guard away themselves and see the harm.
    remark : str
        What is not shown here, and where it is.
    of : str
        What the fault is put to, where a list is put to several: the driver of an instrument.
    """

    number: int
    fault: str
    expected: str
    tests: tuple[str, ...]
    shown: tuple[Shown, ...] = ()
    controls: tuple[str, ...] = ()
    remark: str = ""
    of: str = ""

    @property
    def key(self) -> str:
        """What tells it from the other rows of its room."""
        return f"{self.of} {self.fault}" if self.of else str(self.number)


@dataclass(frozen=True)
class Room:
    """A list of faults.

    Attributes
    ----------
    name, title : str
        As it is asked for, and as the page has it.
    words : str
        What the faults are put to.
    rows : tuple of Row
        The faults.
    missing : tuple of str
        What is not shown.
    """

    name: str
    title: str
    words: str
    rows: tuple[Row, ...]
    missing: tuple[str, ...] = ()
