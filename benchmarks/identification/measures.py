"""Shares, rates and curves of the benchmark with their intervals, and tables of them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import chi2

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cross_instrument import wilson


@dataclass(frozen=True)
class Measure:
    """One figure with its 95 % interval.

    Attributes
    ----------
    track, group, method, name : str
        What it is of.
    value, low, high : float
        The figure; NaN where there was nothing to count.
    n : int
        What it was counted over.
    unit : str
        ``"%"``, ``"×"`` or what else stands behind the number.
    """

    track: str
    group: str
    method: str
    name: str
    value: float
    low: float
    high: float
    n: int
    unit: str = "%"

    def text(self) -> str:
        """Figure and interval for a table."""
        if not np.isfinite(self.value):
            return "–"
        if self.unit == "%":
            digits = 1 if min(self.value, 1 - self.value) < 0.1 else 0
            value, low, high = (f"{100 * v:.{digits}f}" for v in (self.value, self.low, self.high))
            return f"{value} % ({low}–{high}), {self.n}"
        if self.unit == "×" and self.value >= 100:
            return "beyond reach"
        interval = f" ({_number(self.low)}–{_number(self.high)})" if np.isfinite(self.low) else ""
        return f"{_number(self.value)}{self.unit}{interval}"

    def to_dict(self) -> dict[str, Any]:
        """Plain form; what is not known is null."""
        return {
            k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Measure:
        """The reverse of `to_dict`."""
        return cls(**{k: float("nan") if v is None else v for k, v in plain.items()})


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 99.5 else f"{value:.3g}"


def proportion(track: str, group: str, method: str, name: str, hits: Iterable[Any]) -> Measure:
    """Share of true ones with Wilson's interval."""
    found = [bool(h) for h in hits]
    n = len(found)
    low, high = wilson(sum(found), n)
    return Measure(track, group, method, name, sum(found) / n if n else float("nan"), low, high, n)


def rate(track: str, group: str, method: str, name: str, counts: Iterable[int]) -> Measure:
    """Mean of counts per scan with the exact interval of a Poisson mean."""
    found = list(counts)
    n, total = len(found), sum(found)
    if not n:
        return Measure(track, group, method, name, float("nan"), 0.0, float("nan"), 0, "")
    low = chi2.ppf(0.025, 2 * total) / 2 / n if total else 0.0
    return Measure(
        track,
        group,
        method,
        name,
        total / n,
        float(low),
        float(chi2.ppf(0.975, 2 * total + 2) / 2 / n),
        n,
        "",
    )


def macro(track: str, group: str, method: str, name: str, groups: Sequence[Sequence[bool]]) -> Measure:
    """Mean of shares over groups; its interval from draws of each share (Jeffreys' prior)."""
    groups = [g for g in groups if len(g)]
    if not groups:
        return Measure(track, group, method, name, float("nan"), 0.0, 1.0, 0)
    rng = np.random.default_rng(7)
    drawn = [rng.beta(sum(g) + 0.5, len(g) - sum(g) + 0.5, 4000) for g in groups]
    low, high = np.quantile(np.mean(drawn, axis=0), [0.025, 0.975])
    value = float(np.mean([np.mean(g) for g in groups]))
    return Measure(
        track,
        group,
        method,
        name,
        value,
        min(float(low), value),
        max(float(high), value),
        sum(map(len, groups)),
    )


def roc(positives: np.ndarray, negatives: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true alarms at every threshold above 0, strictest first."""
    levels = np.unique(np.concatenate([positives, negatives]))
    levels = levels[levels > 0][::-1]
    false = np.array([(negatives >= level).mean() for level in levels])
    true = np.array([(positives >= level).mean() for level in levels])
    return false, true


def threshold_at(negatives: np.ndarray, alarms: float) -> float:
    """Lowest threshold that at most this share of `negatives` reaches, above 0."""
    allowed = int(alarms * negatives.size)
    ordered = np.sort(negatives)[::-1]
    return float(np.nextafter(max(ordered[allowed] if ordered.size > allowed else 0.0, 0.0), np.inf))


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a table."""
    if not rows:
        return ""
    heads = list(dict.fromkeys(h for r in rows for h in r))
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join(lines + ["| " + " | ".join(str(r.get(h, "")) for h in heads) + " |" for r in rows])


def table(measures: Sequence[Measure], goals: Mapping[tuple[str, str, str], str]) -> str:
    """Measures of one track: groups and methods below each other, figures beside each other."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for m in measures:
        goal = goals.get((m.track, "", m.name), "")
        head = f"{m.name} (goal {goal})" if goal else m.name
        own = goals.get((m.track, m.group, m.name), "")
        row = rows.setdefault((m.group, m.method), {"scans of": m.group, "method": m.method})
        row[head] = m.text() + (f"; goal {own}" if own else "")
    return markdown(list(rows.values()))
