"""Mutation testing of the modules on which evidence and safety hang.

    python -m benchmarks.mutation run laser-safety        # goes on where it was stopped
    python -m benchmarks.mutation run all --minutes 30
    python -m benchmarks.mutation again custody           # and the survivors once more, with more tests
    python -m benchmarks.mutation survivors custody
    python -m benchmarks.mutation save                    # results.json, from the sessions in build/mutation

Mutants are those of cosmic-ray (MIT, extra ``mutation``), and statements left out. Nothing is written into
the tree. What survives is explained in ``survivors.toml``; `docs/test-strength.md` is made from that and from
``results.json`` by ``python -m benchmarks.test_strength``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from typing import Any

from benchmarks.mutation.groups import HERE, Group, groups

RESULTS = HERE / "results.json"


def main() -> int:
    """Do what is asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("run", "again", "survivors", "save", "inside", "outside"))
    parser.add_argument("group", nargs="?", default="all")
    parser.add_argument("--again", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--minutes", type=float, default=600.0, help="how long at most")
    args = parser.parse_args()
    chosen = [group for group in groups() if args.group in ("all", group.name)]
    if not chosen:
        parser.error(f"no group {args.group!r}; there are: {', '.join(group.name for group in groups())}")
    until = time.time() + 60 * args.minutes
    if args.what == "save":
        RESULTS.write_text(json.dumps([row for group in chosen for row in rows(group)], indent=1) + "\n")
        return 0
    if args.what == "survivors":
        for group in chosen:
            _print_survivors(group)
        return 0
    if args.what in ("run", "again"):
        return max(_both(group.name, until, again=args.what == "again") for group in chosen)
    from benchmarks.mutation import trials

    fault = getattr(trials, args.what)(chosen[0], until, _tell, again=args.again)
    if fault:
        print(fault, file=sys.stderr)
    return bool(fault)


def _both(name: str, until: float, *, again: bool) -> int:
    """What is in functions, then what is not: each in a process that has not imported the modules yet."""
    for what in ("inside", "outside"):
        minutes = max(0.0, (until - time.time()) / 60)
        command = [sys.executable, "-m", "benchmarks.mutation", what, name, f"--minutes={minutes}"]
        command += ["--again"] if again else []
        if code := subprocess.run(command).returncode:
            return code
    return 0


def _tell(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def rows(group: Group) -> list[dict[str, Any]]:
    """Of each module of a group, what became of its mutants."""
    from benchmarks.mutation.mutants import Session

    found = []
    for module in group.modules:
        one = Session(module)
        results = dict(one.db.results)
        items = one.items()
        counts: Counter[str] = Counter()
        survivors = []
        broken_off = False
        for job, mutation in items:
            # What was tried beyond the first that was not would be no random sample.
            result = None if broken_off else results.get(job)
            if result is None:
                counts["not run"] += 1
                broken_off = broken_off or _is_inside(one, job, mutation)
            elif result.test_outcome is None:
                counts["no program"] += 1
            elif result.test_outcome.value == "survived":
                counts["survived"] += 1
                mutant = one.mutant(job, mutation)
                assert mutant is not None
                survivors.append(
                    {
                        "line": mutant.line,
                        "where": mutant.where,
                        "operator": mutant.operator,
                        "before": mutant.before,
                        "after": mutant.after,
                        "seen": result.output,
                    }
                )
            else:
                late = result.output == "timeout"
                counts["timed out" if late else result.test_outcome.value] += 1
        survivors.sort(key=lambda row: (row["line"], row["operator"], row["after"]))
        found.append(
            {"group": group.name, "module": module, "sha256": one.sha256, **counts, "survivors": survivors}
        )
    return found


def _is_inside(one: Any, job: str, mutation: Any) -> bool:
    mutant = one.mutant(job, mutation)
    return mutant is not None and mutant.inside


def _print_survivors(group: Group) -> None:
    for row in rows(group):
        print({key: value for key, value in row.items() if key not in ("survivors", "sha256")})
        for one in row["survivors"]:
            print(f"  {one['line']:4} {one['where']} {one['operator']} [{one['seen']}]")
            print(f"       - {one['before']}\n       + {one['after']}")


if __name__ == "__main__":
    sys.exit(main())
