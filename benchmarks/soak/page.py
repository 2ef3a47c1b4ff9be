"""The page of the soak, docs/soak.md, and its figures: made of what was saved, by a command."""

from __future__ import annotations

import json
import textwrap
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.soak import results
from benchmarks.soak.figures import figure
from benchmarks.soak.tablet import AWAY_H, SAME_SCENE
from spectralid.plot._style import save

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent

_VERDICTS = {"flat": "flat", "grows": "**grows**", "undecided": "**not decided**"}
_MEMORY = {
    "own_mb": "own memory (anonymous)",
    "pss_mb": "with a share of mapped files",
    "rss_mb": "resident",
}
_COUNTS = {
    "handles": "open files and sockets",
    "threads": "threads",
    "children": "child processes",
    "connections": "connections to the database",
}


def write() -> None:
    """Write page and figures."""
    runs = {name: results.load(HERE / f"{name}.json") for name in ("tablet", "server")}
    for name, result in runs.items():
        result["judged"] = results.judged(result)
        save(figure(result), ROOT / f"docs/images/soak-{name}.png")
    text = "\n\n".join(
        [_HEAD, *_tablet(runs["tablet"]), *_server(runs["server"]), *_found(runs["tablet"]), _HOW]
    )
    (ROOT / "docs/soak.md").write_text(text + "\n", encoding="utf-8")


def _paragraph(*parts: str) -> str:
    return textwrap.fill(" ".join(parts), 120, break_long_words=False, break_on_hyphens=False)


_HEAD = f"""# Soak

{
    _paragraph(
        "Does a program that runs for a day keep what it should let go? The tablet and the server ran",
        "through 24 simulated hours each, as processes of their own, and were watched from outside.",
        "Page and figures are written by",
    )
}

```
python -m benchmarks.soak tablet --save
python -m benchmarks.soak server --save
python -m benchmarks.soak page
```"""


def _tablet(result: dict[str, Any]) -> list[str]:
    if "did" not in result:
        return _so_far(result)
    did, grown = result["did"], result["judged"]["database"]
    away = ", ".join(f"{first:g} – {last:g} h" for first, last in AWAY_H)
    kinds = ", ".join(
        f"{count:,} {kind} ({size / count / 1000:.1f} kB each)"
        for kind, (count, size) in sorted(result["packets_by_kind"].items())
    )
    documented = grown["bytes_each"] / result["documented_bytes"]
    return [
        "## The tablet",
        _paragraph(
            f"`spectralid tablet` with its simulated instrument, {did['scans']:,} scans at one a simulated",
            f"minute, through the addresses its page uses, in {result['took_s'] / 60:.0f} minutes beside",
            f"other work ({result['cpu_s']:.0f} s of processor time of the program). Every {SAME_SCENE}",
            "scans something else lies under the probe, for which the simulated instrument, a process of",
            f"its own, ends and starts anew: {did['instruments connected']} times. A real server takes the",
            f"packets in; it is away at {away}. Two chemists answer through its API.",
        ),
        "![Memory, counts, database and work of the tablet over the day](images/soak-tablet.png)",
        _table(result),
        _paragraph(
            f"Recorded: {kinds}. {did['strips']} strips, {did['photos']} photos,",
            f"{did['checks']} checks of the instrument, {did.get('answers read', 0)} answers read,",
            f"{did['pages loaded again']} pages loaded again, {result['requests']:,} requests,",
            f"{len(result['errors'])} failures. At the end {result['queue_at_the_end']['queued']} packets",
            f"waited; record and custody log, verified: {_whole(result)}.",
        ),
        _paragraph(
            "A packet of a scan is larger than [the load of the server](reachback-load.md) takes it for: it",
            "holds the standard deviation of each point beside axis and counts. By those figures the",
            f"database grew {documented:.2f} times as much as foretold",
            f"({result['documented_bytes'] / 1000:.1f} kB a packet); the prediction in the table counts",
            "three arrays.",
        ),
        *_errors(result),
    ]


def _so_far(result: dict[str, Any]) -> list[str]:
    last = result["readings"][-1]
    return [
        "## The tablet",
        _paragraph(
            f"**The first {last['hour']:.1f} simulated hours only** ({last['scans']:,}",
            f"scans, {last['packets']:,}",
            f"packets, {last['failures']} failures): the run with the mends was still",
            "under way when this was",
            "written.",
        ),
        "![Memory, counts, database and work of the tablet over the day](images/soak-tablet.png)",
        _table(result),
    ]


def _server(result: dict[str, Any]) -> list[str]:
    did, chemists, last = result["did"], result["chemists"], result["readings"][-1]
    pages = sum(n for what, n in did.items() if what.startswith("GET "))
    searched = result["research"]
    refused = {**did, **chemists}
    told = [f"{what[9:]} {n}×" for what, n in sorted(refused.items()) if what.startswith("refused: ")]
    return [
        "## The server",
        _paragraph(
            f"`spectralid reachback serve` on {result['promises']}; {result['tablets']} tablets that",
            "exchange with their own code over TLS and wait at their inboxes, at",
            f"{result['times']:g} times the surge of [the capacity plan](capacity-plan.md):",
            f"{did['seizures']:,} seizures, {did['scans']:,} scans, {last['packets']:,} packets.",
            "Four chemists take cases in turn and answer through the API; pages, benches, reports and",
            f"lists are fetched by accounts of each role ({pages:,} requests). A step is",
            f"{60 * result['hours'] / result['steps']:g} simulated minutes; {result['took_s'] / 60:.0f}",
            f"minutes beside other work, {result['cpu_s']:.0f} s of processor time of the server, its files",
            "on a file system in memory.",
        ),
        "![Memory, counts, database and work of the server over the day](images/soak-server.png)",
        _table(result),
        _paragraph(
            f"{chemists.get('decisions', 0):,} decisions, {chemists.get('reviews', 0):,} second reviews,",
            f"{chemists.get('interim answers', 0)} interim answers, {did['answers shown']:,} answers shown,",
            f"{did['laboratory results']} laboratory results, {chemists.get('signed in', 0)} sign-ins of",
            f"chemists; a re-search over {searched['searched']:,} spectra ({searched['state']}).",
            f"{len(result['errors'])} replies of 5xx. At the end {result['waiting_on_tablets']} packets",
            f"waited on tablets; {result['audit_entries']:,} entries of the audit log, verified with all",
            f"receipts: {_whole(result)}. Refused: {'; '.join(told) or 'nothing'}.",
        ),
        *_errors(result),
    ]


def _own_mib(hours: Sequence[float], own: Sequence[float]) -> str:
    """Own memory after half a day and at the end."""
    half_a_day = own[bisect_left(hours, 12.0)]
    return f"{half_a_day:.1f} and {own[-1]:.1f} MiB ({hours[-1]:.0f} h)"


def _found(day: Mapping[str, Any]) -> list[str]:
    before = json.loads((HERE / "before.json").read_text(encoding="utf-8"))
    tablet, server = before["tablet"], before["server"]
    value, low, high = tablet["slope"]
    first = _own_mib(tablet["hour"], tablet["own_mb"])
    readings = day["readings"]
    mended = _own_mib([one["hour"] for one in readings], [one["own_mb"] for one in readings])
    return [
        "## What it found",
        _paragraph(
            f"**The tablet's memory grew** by {value:.0f} MiB per 1,000 scans ({low:.0f} to {high:.0f},",
            f"over {tablet['hours']:.0f} simulated hours) in the first run. One cause: the report of a",
            "seizure read the whole custody log at once (12 MB at 5,260 entries; a scan makes five and a",
            "half), for the entries of one seizure. It is read in parts now (`tests/soak/test_custody.py`),",
            "and the jump of 3 MiB at such a report is one of 0.5. The table above leaves open whether that",
            f"is all of it. After 12 hours and at the end the first run stood at {first}, the run with the",
            f"mend at {mended}.",
        ),
        _paragraph(
            "**The server kept two open files** for each thread in which a figure was drawn (fonts, which",
            f"matplotlib opens anew in each thread): the highest count went from {server['handles'][0]} to",
            f"{server['handles'][1]} in the first run. Figures are drawn in one thread now",
            "(`tests/reachback/test_api_laboratory.py`).",
        ),
        _paragraph(
            "**Not mended: time.** The report of a seizure verifies the whole custody log",
            "and looks into every",
            "packet for what witnesses it: 4 s of processor time at 2,355 packets, and twice",
            "that at twice as many.",
            "The list of all seizures (`GET /api/seizures`) reads every packet: 3 to 4 s at 2,168.",
        ),
        _paragraph(
            "**Not a leak, but no constant either:** the server holds the fingerprint of",
            "each item in memory,",
            "12 kB (1,024 points as float64, and again as float32): by calculation 260 MB",
            "after a year of 21,000",
            "seizures of one item.",
        ),
    ]


def _whole(result: dict[str, Any]) -> str:
    return "; ".join(result["problems"]) or "whole"


def _table(result: dict[str, Any]) -> str:
    judged, last = result["judged"], result["readings"][-1]
    unit, grown = judged["unit"], judged["database"]
    rows = []
    for name, words in _MEMORY.items():
        one = judged["memory"][name]
        measured = f"{one['value']:+.2f} MiB ({one['low']:+.2f} to {one['high']:+.2f})"
        verdict = _VERDICTS[one["verdict"]] if name == "own_mb" else ""
        rows.append(
            (f"{words}, per 1,000 {unit} (95 %)", f"{measured}; {last[name]:.0f} MiB at the end", verdict)
        )
    for name, one in judged["counts"].items():
        verdict = "flat" if one["is_flat"] else "**grows**"
        quiet = f"{one['quiet_first']}, {one['quiet_second']} (highest {one['first']}, {one['second']})"
        rows.append((f"{_COUNTS[name]}, kept in either half", quiet, verdict))
    halves = f"{grown['first_half'] / 1000:.1f} and {grown['second_half'] / 1000:.1f} in the halves"
    foretold = f"predicted {grown['predicted'] / 1000:.1f}, ratio {grown['ratio']:.2f}"
    verdict = "as predicted" if grown["as_predicted"] else "**not as predicted**"
    rows.append(
        ("database, kB a packet", f"{grown['bytes_each'] / 1000:.1f} ({halves}); {foretold}", verdict)
    )
    lines = ["| what | measured | |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines)


def _errors(result: dict[str, Any]) -> list[str]:
    return (
        ["\n".join(["Failures:", "", *(f"- {one[:300]}" for one in result["errors"])])]
        if result["errors"]
        else []
    )


_HOW = f"""## How it is judged

- Left out are the first {results.WARM_UP_H["tablet"]:g} hours of the tablet and
  {results.WARM_UP_H["server"]:g} of
  the server: caches fill, pools open, what is rarely asked for is loaded when it is asked for first, and the
  server's graph becomes as large as it may (the newest 300 seizures, reached after 11 hours of this load).
- **Memory**: slope of the anonymous memory with a 95 % interval for readings that depend on each other
  (Newey and West, prewhitened, bandwidth of Andrews). Flat: the whole interval is below
  {results.MEMORY_LIMIT_MB["tablet"]:g} MiB per 1,000 scans, or {results.MEMORY_LIMIT_MB["server"]:g}
  MiB per 1,000
  packets of the server. The first is less than any one thing that a scan makes; the second, less than half a
  packet, was set after the first run, because a day does not decide about less. On simulated series the
  interval
  covers the true slope in 9 of 10 cases and more, up to a correlation of 0.97 between readings.
  Resident memory
  depends on who else has the library's file mapped, and is shown only.
- **Counts**: the second half of the rest never has more than the first, or the lowest of each stretch of 30
  readings is never higher than in the first. What is kept raises both; what comes and goes, one at most.
- **Database**: bytes a packet {results.GROWTH[0]:g} to {results.GROWTH[1]:g} of the prediction, the halves
  within {results.STEADY:.0%} of each other.
- The clock is put forward at each step; sockets, threads and instruments wait in real time. What the tablet
  does in the background (looking through its record, asking for libraries) comes as much sooner, and the
  server's limits are as much looser. Nothing else of the programs is changed.
- Not covered: more than a day, a real instrument, the memory of a browser. The server's bench and its
  re-search
  use a small made-up library.

A small soak runs with the tests on every change, and a leak that is planted there (a handle, a thread and two
megabytes for each scan) has to be found: `tests/soak/test_small.py`."""
