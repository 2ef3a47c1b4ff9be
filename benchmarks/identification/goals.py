"""What the design wants to be reached, and what was published at most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from measures import Measure

OURS = "spectralid"


@dataclass(frozen=True)
class Goal:
    """One goal of the design.

    Attributes
    ----------
    track, group, name, method : str
        The measure it is about; group empty where it is of every group of the track.
    least, most : float or None
        What is wanted, as a fraction (shares) or in the measure's unit.
    text : str
        In words.
    published : str
        Highest published figure, empty if none.
    """

    track: str
    group: str
    name: str
    text: str
    least: float | None = None
    most: float | None = None
    method: str = OURS
    published: str = ""

    def meets(self, value: float) -> bool:
        """Whether a value is as wanted."""
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


_TOLD = "spectralid, detected, told that photons alone differ"
_FCC = "100 opioids, 4 units"
LIST: tuple[Goal, ...] = (
    Goal("A", "", "top-1", "≥ 97 %", least=0.97, published=f"93.3 % ({_FCC})"),
    Goal("A", "", "alarm on a watched family", "≥ 99 %", least=0.99, published=f"97.3 % ({_FCC})"),
    Goal("A", "", "false alarms", "≤ 0.1 %", most=0.001, published=f"0 % ({_FCC})"),
    Goal(
        "B", "mixtures", "macro true-positive rate at ≤ 0.1 % false alarms", "≥ 95 %", least=0.95,
        published="97.5 % at an unstated rate (TruNarc, cocaine)",
    ),
    Goal("D", "drugs, pure, alone", "family recall at 1 % false alarms", "≥ 95 %", least=0.95,
         published="> 90 % at 1 %"),
    Goal("D", "drugs, pure, alone", "family recall at 0.1 % false alarms", "≥ 90 %", least=0.90),
    Goal("E", "photons alone", "η", "≤ 1.15", most=1.15, method="spectralid, detected"),
    Goal("E", "real mismatch", "η", "≤ 1.5", most=1.5, method="spectralid, detected",
         published="none; conventional 5–16 (simulated)"),
    Goal("E", "photons alone", "η", "≤ 1.15", most=1.15, method=_TOLD),
    Goal("E2", "2 substances", "recall", "≥ 95 %", least=0.95, published="> 85 % only pure and some 1:1"),
    Goal("E2", "3 substances", "recall", "≥ 90 %", least=0.90),
    Goal("E2", "4 substances", "recall", "≥ 85 %", least=0.85),
    Goal("E2", "", "precision", "≥ 97 %", least=0.97),
    Goal("E2", "", "false per scan", "≤ 0.02", most=0.02),
    Goal("E3", "7% where the oracle ≥ 99 %", "alarm", "≥ 90 %", least=0.90,
         published="field FTIR misses 17 %, all ≤ 10 % w/w"),
    Goal("E3", "10% where the oracle ≥ 99 %", "alarm", "≥ 97 %", least=0.97),
    Goal("E3", "0%", "alarm", "≤ 0.1 %", most=0.001),
    Goal("F", "in the library", "kept", "≥ 97 %", least=0.97),
    Goal("F", "unknown alone", "wrongly named", "≤ 1 %", most=0.01),
    Goal("F", "unknown in a mixture", "noticed", "≥ 95 %", least=0.95),
    Goal("G", "component, raman, simulated", "expected calibration error", "≤ 0.02", most=0.02),
    Goal("G", "component, raman, simulated", "conformal coverage", "95 ± 1 %", least=0.94, most=0.96),
    Goal("G", "component, infrared, simulated", "expected calibration error", "≤ 0.02", most=0.02),
    Goal("G", "component, infrared, simulated", "conformal coverage", "95 ± 1 %", least=0.94, most=0.96),
    Goal("H", "by base rates", "escalated", "≤ 12 %", most=0.12,
         published="15.4 % (mail facility, three devices)"),
    Goal("H", "with fentanyl", "watched family missed", "0", most=0.0),
    Goal("I", "whole engine", "p95 per spectrum", "≤ 100 ms", most=100.0),
    Goal("I", "retrieval", "p95 per spectrum", "≤ 1 ms", most=1.0),
)  # fmt: skip

GOALS: Mapping[tuple[str, str, str], str] = MappingProxyType(
    {(g.track, g.group, g.name): g.text for g in LIST}
)


def reached(measures: Sequence[Measure]) -> list[dict[str, Any]]:
    """Every goal with what was reached beside it; unproven where the interval reaches beyond the goal."""
    rows = []
    for goal in LIST:
        found = [
            m
            for m in measures
            if (m.track, m.name, m.method) == (goal.track, goal.name, goal.method)
            and goal.group in ("", m.group)
            and m.value == m.value
        ]
        if not found:
            rows.append(_row(goal, goal.group, "not measured", ""))
        for m in found:
            verdict = "missed"
            if goal.meets(m.value):
                bound = m.low if goal.least is not None else m.high
                verdict = "met" if bound != bound or goal.meets(bound) else "met, not proven"
            rows.append(_row(goal, m.group, m.text(), verdict))
    return rows


def _row(goal: Goal, group: str, text: str, verdict: str) -> dict[str, Any]:
    return {
        "track": goal.track,
        "scans of": group,
        "measure": goal.name + goal.method.removeprefix(OURS),
        "highest published": goal.published or "–",
        "goal": goal.text,
        "reached": text,
        "": verdict,
    }
