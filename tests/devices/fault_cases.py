"""Faults against a driver: what a case is, and what must hold of every one, for the ``test_faults_*.py``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from spectralid.devices.sim.faults import FAULTS, Fault
from spectralid.devices.sim.trial import Outcome, Trial

CORRECT, FLAGGED, ERROR = Outcome.CORRECT, Outcome.FLAGGED, Outcome.ERROR


@dataclass(frozen=True)
class Case:
    """A fault, how it is switched on, and what must come of it.

    Of several switches with commas between them, the last one is the fault; the others prepare for it.
    """

    switch: str
    outcome: Outcome
    says: str = ""  # type of the error, or a flag

    def __str__(self) -> str:
        return self.switch

    @property
    def switches(self) -> tuple[str, ...]:
        return tuple(self.switch.split(","))

    @property
    def fault(self) -> str:
        """Name of the fault."""
        return Fault.parse(self.switches[-1]).name


def check(
    seen: Trial,
    case: Case,
    *,
    within_s: float,
    note: Callable[[str, object], None],
    laser_by_hand: bool = False,
) -> None:
    """Assert that what came of a fault is what the case says, in time, and that the next scan works.

    What came of it is noted first, for the table of faults (``python -m tests.faults``).
    """
    detail = seen.error or ", ".join(sorted(seen.flags))
    note("observed", f"{seen.outcome.value}: {detail}" if detail else seen.outcome.value)
    assert seen.outcome is case.outcome, (seen.error, seen.words, seen.flags)
    if case.outcome is ERROR:
        assert seen.error == case.says, seen.words
        assert seen.words.endswith((".", ")")), "an error is a sentence"
    elif case.outcome is FLAGGED:
        assert case.says in seen.flags
    assert seen.next_works
    assert seen.took_s < within_s
    if seen.laser_left_on and not laser_by_hand:
        # Only where nobody can help it, and then never without the alarm.
        assert seen.error == "LaserOffUnconfirmedError"


def check_all_accounted_for(
    covered: Iterable[str], elsewhere: Collection[str], not_applicable: Collection[str]
) -> None:
    """Assert that every fault there is has a case or a test, or else a reason why it cannot be."""
    tested = {*covered, *elsewhere}
    assert tested | set(not_applicable) == set(FAULTS)
    assert not tested & set(not_applicable)
