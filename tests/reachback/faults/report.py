"""``python -m tests.reachback.faults.report``: run every test of the table, and write what was observed.

With ``--print`` the page is printed and not written; with ``--guards`` only the guards are taken away, and
what else was observed is left out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence

from tests.reachback.faults import running, table
from tests.reachback.faults.running import Outcome

PAGE = running.ROOT / "docs" / "reachback-faults.md"
KILLS = running.ROOT / "benchmarks" / "reachback" / "kills.json"

_HEAD = """\
# Faults, and what happens

Made by `python -m tests.reachback.faults.report`, which runs every test named here, and once more without
each guard: a test that does not fail then shows nothing. The same is part of the test suite
(`tests/reachback/faults/test_table.py`). *Tablet* is the real one (`spectralid.casework`), *server* the real
one with TLS, on SQLite and PostgreSQL; between them, in the faults of the network, a proxy of TCP that sees
bytes only (`tests/reachback/faults/proxy.py`).

| # | fault | what must happen | observed |
|--:|---|---|---|
"""


def _of(outcomes: Sequence[Outcome], name: str) -> list[Outcome]:
    return [one for one in outcomes if one.test == name or one.test.startswith((f"{name}::", f"{name}["))]


def _observed(row: table.Row, outcomes: Sequence[Outcome], without: Sequence[Outcome]) -> str:
    found = {one.test: one for name in row.tests for one in _of(outcomes, name)}
    counted = Counter(one.how for one in found.values())
    kinds = [how for how in ("passed", "failed", "error", "skipped") if counted[how]]
    tests = [", ".join(f"{counted[how]} {how}" for how in kinds)] if kinds else []
    guards = []
    for shown in row.shown:
        (one,) = [o for o in without if (o.test, o.guard) == (shown.test, shown.guard.name)]
        said = {"skipped": "not run"}.get(one.how, "its test fails" if one.is_noticed else "NOT NOTICED")
        guards.append(f"without *{shown.guard.name}*: {said}")
    if row.controls and not row.shown:
        guards.append("guards are taken away within the tests")
    return "; ".join([*tests, *dict.fromkeys(guards)]) or "see the test suite"


def _kills() -> str:
    if not KILLS.exists():
        return ""
    said = json.loads(KILLS.read_text(encoding="utf-8"))
    lines = [
        f"| {one['what']} | {one['kills']:,} | {one['lost']} | {one['doubled']} | {one['seconds']:.0f} s |"
        for one in said["runs"]
    ]
    return "\n".join(
        [
            "",
            "## Killed ten thousand times",
            "",
            f"`{said['command']}` ({said['date']}):",
            "",
            "| what is killed | kills | lost | doubled | |",
            "|---|--:|--:|--:|--:|",
            *lines,
            "",
        ]
    )


def page(outcomes: Sequence[Outcome], without: Sequence[Outcome]) -> str:
    """The document."""
    text = _HEAD
    for row in table.ROWS:
        text += f"| {row.number} | {row.fault} | {row.expected} | {_observed(row, outcomes, without)} |\n"
    text += _kills()
    text += "\n## Which tests, and which guards\n"
    for row in table.ROWS:
        text += f"\n**{row.number}. {row.fault[0].upper()}{row.fault[1:]}**\n\n"
        text += "".join(f"- `{name}`\n" for name in row.tests)
        for shown in row.shown:
            text += (
                f"- guard: {shown.guard.name} – {shown.guard.words} (`{'`, `'.join(shown.guard.instead)}`)\n"
            )
        text += "".join(f"- takes guards away itself: `{name}`\n" for name in row.controls)
        if row.remark:
            text += f"\n{row.remark}\n"
    return text


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--print", action="store_true", help="print the page and write nothing")
    parser.add_argument("--guards", action="store_true", help="run the tests without their guards only")
    args = parser.parse_args()
    tests = [name for row in table.ROWS for name in row.tests]
    outcomes = [] if args.guards else running.run(tests)
    without = running.run([shown.test for row in table.ROWS for shown in row.shown], without_guards=True)
    text = page(outcomes, without)
    if args.print:
        print(text)
    else:
        PAGE.write_text(text, encoding="utf-8")
    wrong = [one for one in outcomes if one.how in ("failed", "error")]
    wrong += [one for one in without if not (one.is_noticed or one.how == "skipped")]
    for one in wrong:
        print(f"{one.test} without {one.guard or 'nothing'}: {one.how} {one.why}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
