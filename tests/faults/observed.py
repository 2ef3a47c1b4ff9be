"""What was observed, kept in observed.json: of each fault how its tests ended and what they showed."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.faults.rows import Room, Row
from tests.faults.running import Outcome

__all__ = ["FILE", "keep", "read"]

FILE = Path(__file__).with_name("observed.json")
_PACKAGES = ("spectralid", "numpy", "h5py", "cryptography", "httpx", "starlette", "sqlalchemy", "pytest")
_MOST_SAID = 4


def read() -> dict[str, Any]:
    """By room: when and with what it was run, and its rows by their keys."""
    return dict(json.loads(FILE.read_text(encoding="utf-8"))) if FILE.exists() else {}


def keep(room: Room, outcomes: Sequence[Outcome]) -> None:
    """Put what was observed in a room in the place of what was observed there before."""
    found = {(one.test, one.guard): one for one in outcomes}
    named: dict[str, list[Outcome]] = {}
    for (test, guard), one in sorted(found.items()):
        function = test.partition("[")[0]
        # As a row may name it: a case, a test with all its cases, a file with all its tests.
        for name in () if guard else dict.fromkeys((test, function, function.partition("::")[0])):
            named.setdefault(name, []).append(one)
    here = {
        "date": time.strftime("%Y-%m-%d"),
        "with": {
            "python": platform.python_version(),
            "system": platform.system(),
            "sqlite": sqlite3.sqlite_version,
            **{name: importlib.metadata.version(name) for name in _PACKAGES},
        },
        "tests": len({test for test, guard in found if not guard}),
        "seconds": round(sum(one.seconds for one in found.values())),
        "rows": {row.key: _row(row, named, found) for row in room.rows if row.tests},
    }
    text = json.dumps({**read(), room.name: here}, indent=0, ensure_ascii=False, sort_keys=True)
    FILE.write_text(text + "\n", encoding="utf-8")


def _row(row: Row, named: dict[str, list[Outcome]], found: dict[tuple[str, str], Outcome]) -> dict[str, Any]:
    tests = {}
    for name in row.tests:
        ended = named.get(name, [])
        tests[name] = dict(Counter(one.how for one in ended))
        # Of several cases that say the same in other words, one is enough.
        words = {text.partition(":")[0]: text for one in reversed(ended) for text in one.said}
        tests[name] |= {"said": [words[kind] for kind in sorted(words)][:_MOST_SAID]}
        if wrong := [f"{one.test}: {one.why}" for one in ended if one.how in ("failed", "error")]:
            tests[name]["why"] = wrong
        if why := sorted({one.why for one in ended if one.how == "skipped"}):
            tests[name]["skipped because"] = why
    without = {}
    for shown in row.shown:
        one = found.get((shown.test, shown.guard.name))
        noticed = one is not None and one.is_noticed
        left_out = one is not None and one.how == "skipped"
        without[f"{shown.guard.name} | {shown.test}"] = (
            "noticed"
            if noticed
            else "skipped"
            if left_out
            else f"NOT NOTICED: {one.why if one else 'not run'}"
        )
    return {"tests": tests, **({"without": without} if without else {})}
