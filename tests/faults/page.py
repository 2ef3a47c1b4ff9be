"""docs/faults.md, made from the lists and from what was observed."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from spectralid.devices.sim.faults import FAULTS
from tests.faults import running
from tests.faults.rows import Room, Row

__all__ = ["PAGE", "text", "wrong"]

PAGE = running.ROOT / "docs" / "faults.md"
PEER = running.ROOT / "benchmarks" / "device_faults.json"
KILLS = running.ROOT / "benchmarks" / "reachback" / "kills.json"

_HEAD = """\
# Faults, and what happens

Made by `python -m tests.faults`, which plants every fault named here, runs the tests named beside it and
writes down what came of it; nothing in the columns *observed* was typed in. *Observed* is how many cases of
the tests passed, and the errors that an officer, a chemist or a program would have been told, one of each
kind. A case is skipped where something it needs is not on the machine; the reasons are at the end.
"""


def _cases(row: Row, seen: Mapping[str, Any]) -> Counter[str]:
    """How the cases of the tests of a row ended."""
    ended: Counter[str] = Counter()
    tests = seen.get(row.key, {}).get("tests", {})
    for name in row.tests:
        counts = {how: n for how, n in tests.get(name, {}).items() if isinstance(n, int)}
        ended.update(counts or {"NOT RUN": 1})
    return ended


def _is_wrong(row: Row, seen: Mapping[str, Any]) -> bool:
    ended = _cases(row, seen)
    without = seen.get(row.key, {}).get("without", {})
    # What was skipped altogether shows nothing.
    return bool(
        ended["failed"]
        or ended["error"]
        or ended["NOT RUN"]
        or (row.tests and not ended["passed"])
        or any(said not in ("noticed", "skipped") for said in without.values())
        or len(without) != len({(shown.guard.name, shown.test) for shown in row.shown})
    )


def wrong(room: Room, observed: Mapping[str, Any]) -> Iterator[str]:
    """What is not as expected, in sentences."""
    seen = observed.get(room.name, {}).get("rows", {})
    for row in room.rows:
        if not _is_wrong(row, seen):
            continue
        here = seen.get(row.key, {})
        why = [line for test in here.get("tests", {}).values() for line in test.get("why", ())]
        why += [
            f"without {name}: {said}" for name, said in here.get("without", {}).items() if said != "noticed"
        ]
        yield f"{row.key}: {', '.join(f'{n} {how}' for how, n in _cases(row, seen).items())} {'; '.join(why)}"


def _said(row: Row, seen: Mapping[str, Any]) -> list[str]:
    tests = seen.get(row.key, {}).get("tests", {})
    return list(dict.fromkeys(said for name in row.tests for said in tests.get(name, {}).get("said", ())))


def _cell(words: str) -> str:
    return words.replace("|", "\\|")


def _code(words: str) -> str:
    """As code, so that nothing in it is taken for the mark-up of the page."""
    return f"`{_cell(words.replace('`', chr(39)))}`"


def _observed(row: Row, seen: Mapping[str, Any]) -> str:
    ended = _cases(row, seen)
    kinds = [how for how in ("passed", "failed", "error", "skipped", "NOT RUN") if ended[how]]
    parts = [", ".join(f"{ended[how]} {how}" for how in kinds)]
    parts += [_code(said) for said in _said(row, seen)]
    without = seen.get(row.key, {}).get("without", {})
    words = {"noticed": "its test fails", "skipped": "not run"}
    for name, said in without.items():
        parts.append(f"without *{name.partition(' | ')[0]}*: {words.get(said, said)}")
    if row.controls and not row.shown:
        parts.append("guards are taken away within the tests")
    return "<br>".join(dict.fromkeys(parts))


def _tests(row: Row) -> str:
    """Names, each file once."""
    parts = []
    for file, names in groupby(row.tests, key=lambda name: name.partition("::")[0]):
        functions = [name.partition("::")[2] for name in names]
        shown = [_code(one) for one in functions if one]
        parts.append("<br>".join([_code(file), *shown]))
    return "<br>".join(parts)


def _table(room: Room, seen: Mapping[str, Any]) -> str:
    lines = ["| # | fault | expected | observed | test |", "|--:|---|---|---|---|"]
    for row in room.rows:
        expected = _cell(row.expected) + (f"<br>*{_cell(row.remark)}*" if row.remark else "")
        lines.append(
            f"| {row.number} | {_cell(row.fault)} | {expected} | {_observed(row, seen)} | {_tests(row)} |"
        )
    return "\n".join(lines) + "\n"


# --- instruments: one list put to several drivers -----------------------------------------------------------


def _driver_tables(room: Room, seen: Mapping[str, Any]) -> str:
    text = ""
    for driver in dict.fromkeys(row.of for row in room.rows):
        rows = [row for row in room.rows if row.of == driver]
        cases = [row for row in rows if row.tests]
        kinds = Counter(_kind(row, seen) for row in cases)
        told = ", ".join(f"{n} {kind}" for kind, n in kinds.most_common())
        text += f"\n### {driver}\n\n{len(cases)} cases: {told}.\n\n"
        text += "| # | fault | switched on as | expected | observed | test |\n|--:|---|---|---|---|---|\n"
        for row, switches in _alike(cases, seen):
            what = _what(row.number)
            switched = ", ".join(_code(switch) for switch in switches)
            observed = "<br>".join(_code(said) for said in _said(row, seen)) or _counted(row, seen)
            state = "" if not _is_wrong(row, seen) else " **NOT AS EXPECTED**"
            test = _tests(row) if len(switches) == 1 else _family(row)
            cells = (str(row.number or ""), what, switched, row.expected, observed + state, test)
            text += f"| {' | '.join(cells)} |\n"
        if cannot := [row for row in rows if not row.tests]:
            text += "\nDoes not apply: " + "; ".join(
                f"{row.number} *{row.fault}* ({row.remark})" for row in sorted(cannot, key=lambda r: r.number)
            )
            text += ".\n"
    return text


def _kind(row: Row, seen: Mapping[str, Any]) -> str:
    if _is_wrong(row, seen):
        return "NOT AS EXPECTED"
    first = next(iter(_said(row, seen)), "").partition(":")[0]
    known = {
        "typed error": "errors of the family",
        "correct spectrum": "correct",
        "flagged spectrum": "flagged",
    }
    return known.get(first, "frame by frame or by a test of its own")


def _what(number: int) -> str:
    return next((_cell(kind.what) for kind in FAULTS.values() if kind.number == number), "none")


def _counted(row: Row, seen: Mapping[str, Any]) -> str:
    return ", ".join(f"{n} {how}" for how, n in _cases(row, seen).items())


def _family(row: Row) -> str:
    file, _, test = row.tests[0].partition("::")
    return f"{_code(file)}<br>{_code(test.partition('[')[0] + '[…]')}"


def _alike(rows: Sequence[Row], seen: Mapping[str, Any]) -> Iterator[tuple[Row, list[str]]]:
    """Rows of one fault with one outcome are one line."""
    lines: dict[tuple[Any, ...], tuple[Row, list[str]]] = {}
    for row in sorted(rows, key=lambda row: row.number):
        told = json.dumps(_said(row, seen))
        test = row.tests[0].partition("[")[0]
        line = (row.number, row.expected, told, test, _is_wrong(row, seen))
        lines.setdefault(line, (row, []))[1].append(row.fault)
    yield from lines.values()


# --- the rest of the page -----------------------------------------------------------------------------------


def _totals(rooms: Sequence[Room], observed: Mapping[str, Any]) -> str:
    lines = [
        "| list | faults | cases passed | skipped | guards taken away and missed | not as expected | run "
        "| minutes |",
        "|---|--:|--:|--:|--:|--:|---|--:|",
    ]
    sums: Counter[str] = Counter()
    for room in rooms:
        here = observed.get(room.name, {})
        seen = here.get("rows", {})
        ended: Counter[str] = Counter()
        tried = [row for row in room.rows if row.tests]
        for row in tried:
            ended.update(_cases(row, seen))
        missed = sum(
            said == "noticed"
            for row in room.rows
            for said in seen.get(row.key, {}).get("without", {}).values()
        )
        bad = sum(_is_wrong(row, seen) for row in tried)
        title = f"[{room.title}](#{_anchor(room.title)})"
        lines.append(
            f"| {title} | {len(tried)} | {ended['passed']:,} | {ended['skipped']} | {missed or ''} | {bad} | "
            f"{here.get('date', 'NOT RUN')} | {here.get('seconds', 0) / 60:.0f} |"
        )
        sums.update(
            faults=len(tried), passed=ended["passed"], skipped=ended["skipped"], missed=missed, bad=bad
        )
    lines.append(
        f"| **all** | **{sums['faults']}** | **{sums['passed']:,}** | **{sums['skipped']}** | "
        f"**{sums['missed']}** | **{sums['bad']}** | | |"
    )
    return "\n".join(lines) + "\n"


def _versions(observed: Mapping[str, Any]) -> str:
    kinds = dict.fromkeys(
        ", ".join(f"{name} {version}" for name, version in here["with"].items()) for here in observed.values()
    )
    return "Run with " + "; and with ".join(kinds) + ".\n"


def _peer() -> str:
    """What a client nobody here wrote does with some of them."""
    if not PEER.exists():
        return ""
    said = json.loads(PEER.read_text(encoding="utf-8"))
    rows = "".join(f"| {' | '.join(map(_cell, row))} |\n" for row in said["rows"])
    return (
        "\n### Beside a client nobody here wrote\n\nThree spectra in a row from a simulated STS "
        f"(`{said['command']} --save`, {said['date']}):\n\n"
        f"| fault | cseabreeze | spectralid |\n|---|---|---|\n{rows}"
    )


def _kills() -> str:
    said = json.loads(KILLS.read_text(encoding="utf-8"))
    lines = [
        f"| {one['what']} | {one['kills']:,} | {one['lost']} | {one['doubled']} | {one['seconds']:.0f} s |"
        for one in said["runs"]
    ]
    return "\n".join(
        [
            "",
            "### Killed ten thousand times",
            "",
            f"`{said['command']}` ({said['date']}):",
            "",
            "| what is killed | kills | lost | doubled | |",
            "|---|--:|--:|--:|--:|",
            *lines,
            "",
        ]
    )


def _guards(room: Room) -> str:
    lines: dict[str, str] = {}
    for row in room.rows:
        for shown in row.shown:
            lines[shown.guard.name] = (
                f"- *{shown.guard.name}*: {shown.guard.words} ({', '.join(map(_code, shown.guard.instead))})"
            )
        for name in row.controls:
            lines[name] = f"- {_code(name)} takes guards away itself"
    return "\n".join(
        ["", "### Guards", "", "What was taken away, and where it stands:", "", *lines.values(), ""]
    )


def _skipped(observed: Mapping[str, Any]) -> str:
    why: Counter[str] = Counter()
    for here in observed.values():
        for row in here["rows"].values():
            for test in row["tests"].values():
                for reason in test.get("skipped because", ()):
                    # As pytest has it: file, line, reason.
                    why[reason.rpartition("Skipped: ")[2].rstrip("')\"")] += 1
    if not why:
        return ""
    return "\n## Why cases were skipped\n\n" + "".join(f"- {_cell(reason)}\n" for reason in sorted(why))


def _anchor(title: str) -> str:
    """Of a heading, as code hosts and the site make it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def text(rooms: Sequence[Room], observed: Mapping[str, Any]) -> str:
    """The document."""
    out = _HEAD + "\n" + _totals(rooms, observed) + "\n" + _versions(observed)
    for room in rooms:
        seen = observed.get(room.name, {}).get("rows", {})
        out += f"\n## {room.title}\n\n{room.words}\n"
        out += _driver_tables(room, seen) if any(row.of for row in room.rows) else "\n" + _table(room, seen)
        if room.name == "devices":
            out += _peer()
        if room.name == "reachback":
            out += _kills()
        if any(row.shown or row.controls for row in room.rows):
            out += _guards(room)
        if room.missing:
            out += "\nNot shown:\n\n" + "".join(f"- {line}\n" for line in room.missing)
    return out + _skipped(observed)
