"""Track H: how many street samples must go to a laboratory, weighed by how often they hold fentanyl."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from _shared import shared_data
from measures import Measure, proportion
from tracks import FENTANYL, OURS, WATCHED, Answer

# Where the labels are not at hand: 6,099 of 12,684 strips were positive (drug checking in British Columbia).
_POSITIVE = 6099 / 12684
_RNG = 9


def base_rate(data: Path | None = None) -> float:
    """Share of street samples whose fentanyl strip is positive."""
    try:
        folder = data or shared_data()
    except SystemExit:
        return _POSITIVE
    file = folder / "drugcheckingbc-labels" / "test_site_data.csv"
    with file.open(encoding="utf-8", newline="") as lines:
        strips = [
            float(row["FENTANYL_STRIP_POS"]) for row in csv.DictReader(lines) if row["FENTANYL_STRIP_POS"]
        ]
    return float(np.mean(strips))


def escalated(answer: Answer, largest_limit: float = 1.0) -> bool:
    """Whether a scan goes to the laboratory because nothing was settled by it.

    There is no alarm for a watched family and either the verdict names nothing, or more fentanyl than
    `largest_limit` (a share of the signal) could have hidden in the scan. What is settled and hazardous is
    reported and escalated too, but it was not missed; the published share counts the unsettled.
    """
    if answer.alarms:
        return False
    return answer.kind not in ("identified", "mixture") or answer.limits.get(FENTANYL, 0.0) > largest_limit


def missed(answer: Answer, largest_limit: float = 1.0) -> bool:
    """Whether a watched family is in it, nobody was warned of it, and the scan is not sent on either."""
    return bool(answer.query.family) and not answer.alarms and not escalated(answer, largest_limit)


def escalation(
    answers: Sequence[Answer],
) -> tuple[list[Measure], dict[str, list[dict[str, Any]]], dict[str, Any]]:
    """Measures of track H."""
    rate = base_rate()
    groups = {
        g: [a for a in answers if a.query.group == g] for g in dict.fromkeys(a.query.group for a in answers)
    }
    out = []
    for group, mine in groups.items():
        out.append(proportion("H", group, OURS, "escalated", (escalated(a) for a in mine)))
        if any(a.query.family for a in mine):
            out.append(proportion("H", group, OURS, "watched family missed", (missed(a) for a in mine)))
            right = (a.query.family in a.alarms for a in mine)
            out.append(proportion("H", group, OURS, "alarm", right))
    with_it = [a for a in answers if a.query.family == FENTANYL]
    without = [a for a in answers if a.query.family != FENTANYL]
    out.append(_weighed("escalated", [escalated(a) for a in with_it], [escalated(a) for a in without], rate))
    curve = []
    for limit in np.round(np.geomspace(0.01, 1.0, 25), 4):
        some = [escalated(a, limit) for a in with_it], [escalated(a, limit) for a in without]
        curve.append(
            {
                "limit": float(limit),
                "escalated": _weighed("", *some, rate).value,
                "missed": int(sum(missed(a, limit) for a in answers)),
            }
        )
    safe = [c for c in curve if not c["missed"]]
    if safe:
        best = min(safe, key=lambda c: c["escalated"])
        some = [escalated(a, best["limit"]) for a in with_it], [escalated(a, best["limit"]) for a in without]
        name = "escalated so that none is missed (limit of fentanyl chosen afterwards)"
        out.append(_weighed(name, *some, rate))
    rows = [
        {
            "strip-positive share of street samples": f"{rate:.1%}",
            "scans with fentanyl": len(with_it),
            "scans without": len(without),
            "watched families": len(WATCHED),
        }
    ]
    return out, {"H: what was weighed": rows}, {"triage": curve}


def _weighed(name: str, positive: Sequence[bool], negative: Sequence[bool], rate: float) -> Measure:
    rng = np.random.default_rng(_RNG)

    def draws(hits: Sequence[bool]) -> np.ndarray:
        return rng.beta(sum(hits) + 0.5, len(hits) - sum(hits) + 0.5, 4000)

    value = rate * float(np.mean(positive)) + (1 - rate) * float(np.mean(negative))
    low, high = np.quantile(rate * draws(positive) + (1 - rate) * draws(negative), [0.025, 0.975])
    n = len(positive) + len(negative)
    return Measure(
        "H", "by base rates", OURS, name, value, min(float(low), value), max(float(high), value), n
    )
