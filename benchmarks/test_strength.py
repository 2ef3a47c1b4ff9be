"""The page on how strong the tests are: `docs/test-strength.md`, from committed figures.

    python -m benchmarks.test_strength            # writes the page
    python -m benchmarks.test_strength --check    # fails if a survivor is not explained

Figures: ``benchmarks/coverage.json`` (``python -m benchmarks.branch_coverage --all --save``),
``benchmarks/mutation/results.json`` (``python -m benchmarks.mutation run all``, then ``… save``), and the
explanations in ``benchmarks/mutation/survivors.toml``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from benchmarks.branch_coverage import FIGURES, share
from benchmarks.mutation.groups import HERE, ROOT, groups
from spectralid.proportion import clopper_pearson

PAGE = ROOT / "docs" / "test-strength.md"
RESULTS = HERE / "results.json"
SURVIVORS = HERE / "survivors.toml"

_HEAD = """# How strong the tests are

Written by `python -m benchmarks.test_strength` from committed figures; nothing here is typed by hand.

A line that a test runs is not yet a line that a test judges. So the modules on which evidence and safety
hang are looked at twice: every branch of them is run by their tests, and small changes are made to them one
at a time (*mutants*), each of which a test should find. Which modules these are, and which tests are theirs,
stands in `benchmarks/mutation/modules.toml`.
"""

_MUTATION = """## Mutants

Mutants are those of [cosmic-ray](https://cosmic-ray.readthedocs.io) (operators, comparisons, numbers,
conditions, loops, exceptions, decorators), and statements left out: a call made for its effect, an assignment
to a part, `raise`. Annotations and what only a type checker reads are left alone. A mutant meets the tests of
its group that run its statement, quickest first, and is *killed* by the first that fails. One that hangs is
*timed out*, and counts as found. One that lives through three seconds of tests has survived, until it meets
them once more, with other tests of its group, for twenty seconds (`python -m benchmarks.mutation again all`).

`python -m benchmarks.mutation run all` goes on where it was stopped. Mutants are tried in an order that is
drawn once, so where not all have been tried, those that were are a random sample of what is inside of
functions; what stands outside of them comes last. The interval (95 %, Clopper and Pearson) is for the share
found among all of those.
"""
_UNEXPLAINED = "Not explained yet."


@dataclass
class Explained:
    """Survivors with the reasons given for them.

    Attributes
    ----------
    reasons : dict
        Of each survivor of a module, by its place in the results; empty where there is none.
    unused : list of str
        Explanations that fit no survivor.
    """

    reasons: dict[tuple[str, int], str] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)


def main() -> int:
    """Write or check the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; say what is not explained")
    args = parser.parse_args()
    rows = results()
    explained = explain(rows)
    if not args.check:
        PAGE.write_text(page(rows))
    missing = [
        f"{row['module']}:{one['line']}: {one['before']!r} → {one['after']!r} is not explained"
        for row in rows
        for at, one in enumerate(row["survivors"])
        if not explained.reasons[row["module"], at]
    ]
    changed = [
        f"{row['module']} has changed since its mutants were tried" for row in rows if _is_changed(row)
    ]
    for line in missing:
        print(line, file=sys.stderr)
    for line in changed + explained.unused:
        print(f"note: {line}", file=sys.stderr)
    return bool(missing)


def results() -> list[dict[str, Any]]:
    """What became of the mutants, module by module."""
    return list(json.loads(RESULTS.read_text()))


def page(rows: list[dict[str, Any]]) -> str:
    """The page, as it is written."""
    return "\n".join([_HEAD, *_coverage(), *_mutants(rows, explain(rows))]).rstrip() + "\n"


def explain(rows: list[dict[str, Any]]) -> Explained:
    """Which explanation belongs to which survivor."""
    known = tomllib.loads(SURVIVORS.read_text(encoding="utf-8"))
    used: Counter[int] = Counter()
    done = Explained()
    entries = [*known.get("survivor", ()), *known.get("rule", ())]
    for row in rows:
        for at, one in enumerate(row["survivors"]):
            fits = [n for n, entry in enumerate(entries) if _fits(entry, row["module"], one)]
            used.update(fits[:1])
            done.reasons[row["module"], at] = entries[fits[0]]["reason"] if fits else ""
    done.unused = [f"no survivor for {entry}" for n, entry in enumerate(entries) if not used[n]]
    return done


def _fits(entry: dict[str, str], module: str, one: dict[str, Any]) -> bool:
    if "before" in entry:
        return module == entry["module"] and all(one[name] == entry[name] for name in ("before", "after"))
    return bool(re.fullmatch(entry["operator"], one["operator"]) and re.search(entry["line"], one["before"]))


def _is_changed(row: dict[str, Any]) -> bool:
    return hashlib.sha256((ROOT / row["module"]).read_bytes()).hexdigest() != row["sha256"]


def _coverage() -> list[str]:
    lines = [
        "## Branch coverage",
        "",
        "`python -m benchmarks.branch_coverage` runs the tests of those modules and fails if a statement or",
        "a branch of them is not run; CI does so. No line is exempted by a comment.",
        "",
    ]
    if not FIGURES.is_file():
        return lines
    table = json.loads(FIGURES.read_text())
    if "modules" in table:
        rows = table["modules"].values()
        total = {name: sum(row[name] for row in rows) for name in next(iter(rows))}
        lines += [
            f"These {len(rows)} modules have {total['num_statements']:,} statements and "
            f"{total['num_branches']:,} branches; not run are {total['missing_lines']:,} and "
            f"{total['missing_branches']:,}: {100 * share(total):.0f} %.",
            "",
        ]
    if "rooms" not in table:
        return lines
    lines += [
        "Of the whole package, by the whole suite (`--all`), with the processes that tests start:",
        "",
        "| room | statements | branches | run by a test |",
        "|---|--:|--:|--:|",
    ]
    for name, row in table["rooms"].items():
        words = "**all**" if name == "all" else name
        lines.append(
            f"| {words} | {row['num_statements']:,} | {row['num_branches']:,} | {100 * share(row):.1f} % |"
        )
    return [*lines, ""]


def _mutants(rows: list[dict[str, Any]], explained: Explained) -> list[str]:
    lines = [
        _MUTATION,
        "| module | mutants tried | not tried | killed | timed out | survived | of these explained "
        "| found or explained |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    titles = {group.name: group.title for group in groups()}
    group = ""
    total: Counter[str] = Counter()
    for row in rows:
        if row["group"] != group:
            group = row["group"]
            lines.append(f"| *{titles[group]}* | | | | | | | |")
        count = Counter({name: row.get(name, 0) for name in ("killed", "timed out", "survived", "not run")})
        count["explained"] = sum(
            bool(explained.reasons[row["module"], at]) for at in range(len(row["survivors"]))
        )
        total += count
        lines.append(_row(f"`{row['module'].removeprefix('spectralid/')}`", count))
    lines += [_row("**all**", total), ""]
    return [*lines, "## Survivors, explained", "", *_reasons(rows, explained)]


def _row(name: str, count: Counter[str]) -> str:
    tried = count["killed"] + count["timed out"] + count["survived"]
    good = count["killed"] + count["timed out"] + count["explained"]
    words = "–"
    if tried:
        words = f"{100 * good / tried:.1f} %"
        if count["not run"]:
            low, high = clopper_pearson(good, tried)
            words += f" ({100 * low:.1f} – {100 * high:.1f})"
    cells = (tried, count["not run"], *(count[n] for n in ("killed", "timed out", "survived", "explained")))
    return f"| {name} | {' | '.join(f'{cell:,}' for cell in cells)} | {words} |"


def _reasons(rows: list[dict[str, Any]], explained: Explained) -> list[str]:
    """Reasons, each with the mutants it is given for."""
    lines: list[str] = []
    by_reason: dict[str, list[str]] = {}
    for row in rows:
        for at, one in enumerate(row["survivors"]):
            reason = explained.reasons[row["module"], at] or _UNEXPLAINED
            place = f"`{row['module'].removeprefix('spectralid/')}`, {one['where'] or 'module'}"
            by_reason.setdefault(reason, []).append(
                f"{place}: {_code(one['before'])} → {_code(one['after'])}"
            )
    for reason, mutants in sorted(
        by_reason.items(), key=lambda item: (item[0] == _UNEXPLAINED, -len(item[1]))
    ):
        lines += [f"**{reason}**", "", *(f"- {mutant}" for mutant in mutants), ""]
    return lines or ["There are none.", ""]


def _code(text: str) -> str:
    words = " ".join(text.split()) or "pass"
    return f"`` {words} ``" if "`" in words else f"`{words}`"


if __name__ == "__main__":
    sys.exit(main())
