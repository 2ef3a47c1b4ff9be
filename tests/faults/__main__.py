"""``python -m tests.faults``: every fault of every list is planted, and docs/faults.md says what came of it.

    python -m tests.faults                         # all of it, about half an hour; goes on where it stopped
    python -m tests.faults --room tablet           # one list; the others stay as they were observed
    python -m tests.faults --anew                  # nothing is taken from an attempt that was broken off
    python -m tests.faults --page                  # the page again, from what was observed; nothing is run

Outcomes are noted in build/faults as they come; when a list is done they go into tests/faults/observed.json,
which the page is made from. Ends with 1 if anything is not as expected.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tests.faults import observed, page, running
from tests.faults.rooms import ROOMS
from tests.faults.rows import Room

STATE = running.ROOT / "build" / "faults" / "outcomes.jsonl"


def _carried_out(room: Room) -> None:
    """Run what has not been run, and keep what is observed."""
    tests = [name for row in room.rows for name in row.tests]
    guarded = [shown.test for row in room.rows for shown in row.shown]
    print(f"{room.title}: {len(room.rows)} faults", flush=True)
    outcomes = running.run(tests, file=STATE, told=_progress)
    if guarded:
        outcomes += running.run(guarded, without_guards=True, file=STATE, told=_progress)
    observed.keep(room, outcomes)


def _progress(done: int) -> None:
    print(f"\r  {done} outcomes noted", end="" if sys.stdout.isatty() else "\n", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, write the page, say what is not as expected."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--room", choices=[room.name for room in ROOMS], action="append")
    parser.add_argument("--anew", action="store_true", help="begin again")
    parser.add_argument("--page", action="store_true", help="write the page from what was observed")
    said = parser.parse_args(arguments)
    if said.anew:
        STATE.unlink(missing_ok=True)
    STATE.parent.mkdir(parents=True, exist_ok=True)
    if not said.page:
        for room in ROOMS:
            if not said.room or room.name in said.room:
                _carried_out(room)
        if not said.room:
            STATE.unlink(missing_ok=True)
    seen = observed.read()
    page.PAGE.write_text(page.text(ROOMS, seen), encoding="utf-8")
    wrong = [f"{room.name}: {line}" for room in ROOMS for line in page.wrong(room, seen)]
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"{len(wrong)} not as expected; {page.PAGE.relative_to(running.ROOT)} written")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
