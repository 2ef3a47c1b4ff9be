"""What a soak came to: kept as JSON, and judged."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.soak import evaluate

WARM_UP_H = {"tablet": 4.5, "server": 12.0}
"""Left out: caches fill, pools of threads and connections open, what is rarely asked for is loaded when it
is asked for first (by 4 h), the server's graph gets as large as it may: the newest 300 seizures (11 h)."""
MEMORY_LIMIT_MB = {"tablet": 2.0, "server": 10.0}
"""Per 1,000 scans or packets, that still counts as flat. The tablet's is less than any one thing that a scan
makes: its packet 36 kB, an array of its spectrum 8 kB, the JSON of its result 5 kB. The server's is less than
half a packet (23 kB): a day of it does not decide about less, and its fingerprints in memory take 12 kB a
seizure."""
GROWTH = (0.5, 1.25)
"""Growth of the database over the predicted one that counts as predicted."""
STEADY = 0.1
"""Share by which the bytes of a record may differ between the halves."""


def judged(result: dict[str, Any], *, warm_up_h: float | None = None) -> dict[str, Any]:
    """Slopes, counts and growth, and whether all is as it should be.

    Parameters
    ----------
    result : dict
        As `benchmarks.soak.tablet.soak` and `benchmarks.soak.server.soak` return it.
    warm_up_h : float, optional
        Simulated hours that are left out, if not those of `WARM_UP_H`.
    """
    limit_mb = MEMORY_LIMIT_MB[result["what"]]
    warm_up_h = WARM_UP_H[result["what"]] if warm_up_h is None else warm_up_h
    rows = [one for one in result["readings"] if one["hour"] >= warm_up_h]
    unit = result.get("unit", "scans")
    done = np.array([one[unit] for one in rows], float) / 1000
    memory = {}
    for name in ("own_mb", "pss_mb", "rss_mb"):
        found = evaluate.slope(done, [one[name] for one in rows])
        memory[name] = {**asdict(found), "verdict": found.verdict(limit_mb)}
    counts = {}
    for name in ("handles", "threads", "children", *(("connections",) if "connections" in rows[0] else ())):
        most = evaluate.count([one[name] for one in rows])
        counts[name] = {**asdict(most), "is_flat": most.is_flat}
    grown = evaluate.growth(
        [one["packets"] for one in rows], [one["database"] for one in rows], result["predicted_bytes"]
    )
    steady = abs(grown.second_half / grown.first_half - 1) if grown.first_half else float("inf")
    as_predicted = GROWTH[0] <= grown.ratio <= GROWTH[1] and steady <= STEADY
    good = (
        memory["own_mb"]["verdict"] == "flat"
        and all(one["is_flat"] for one in counts.values())
        and as_predicted
        and not result["errors"]
        and not result["problems"]
    )
    return {
        "unit": unit, "readings": len(rows), "warm_up_h": warm_up_h,
        "limit_mb": limit_mb, "memory": memory, "counts": counts,
        "database": {
            **asdict(grown), "ratio": grown.ratio, "halves_differ": steady, "as_predicted": as_predicted,
        },
        "errors": len(result["errors"]), "problems": len(result["problems"]), "is_good": bool(good),
    }  # fmt: skip


def save(result: dict[str, Any], path: Path) -> None:
    """Keep a result, its readings by columns."""
    rows = result["readings"]
    columns = {
        name: [round(float(one[name]), 3) if isinstance(one[name], float) else one[name] for one in rows]
        for name in rows[0]
    }
    whole = {**result, "readings": columns, "judged": judged(result)}
    lines = [f' "{name}": {json.dumps(value, separators=(",", ":"))}' for name, value in whole.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def load(path: Path) -> dict[str, Any]:
    """A result that was saved, its readings by rows again."""
    whole: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    columns = whole["readings"]
    whole["readings"] = [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
    return whole
