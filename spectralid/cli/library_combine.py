"""``spectralid library diff``, ``merge`` and ``subset``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from spectralid.cli._exit import Exit
from spectralid.cli._inputs import print_json, progress
from spectralid.cli._library import add_naming_options, created
from spectralid.cli._output import add_force_option, check_new

__all__ = ["add_parsers"]


def add_parsers(commands: Any) -> None:
    """Register the sub-commands."""
    _add_diff(commands)
    _add_merge(commands)
    _add_subset(commands)


def _add_diff(commands: Any) -> None:
    parser = commands.add_parser(
        "diff",
        help="what has changed between two libraries",
        description="Compounds and references added, removed and changed: facts, provenance and values. "
        f"Exit code 0 if the content is the same, {Exit.DIFFERENT.value} if it is not.",
    )
    parser.add_argument("before", metavar="A", help="library file or name of a bundled library")
    parser.add_argument("after", metavar="B", help="the library to compare it with")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=_diff)


def _diff(args: argparse.Namespace) -> int:
    from spectralid.library import compare_libraries, open_library

    found = compare_libraries(
        open_library(args.before),
        open_library(args.after),
        progress=lambda pairs: progress(pairs, "reference"),
    )
    if args.json:
        print_json(found.to_dict())
        return Exit.IDENTIFIED if found.same else Exit.DIFFERENT
    for change in found.about:
        print(f"  {change.field}: {change.before!r} → {change.after!r}")
    for kind, added, removed in (
        ("compound", found.compounds_added, found.compounds_removed),
        ("reference", found.references_added, found.references_removed),
    ):
        for name in removed:
            print(f"- {kind} {name}")
        for name in added:
            print(f"+ {kind} {name}")
    for slug, changes in found.compounds_changed.items():
        print(f"~ compound {slug}")
        for change in changes:
            print(f"    {change.field}: {change.before!r} → {change.after!r}")
    for reference in found.references_changed:
        print(f"~ reference {reference.before_id}")
        for change in reference.changes:
            print(f"    {change.field}: {change.before!r} → {change.after!r}")
        if reference.largest_difference is not None:
            print(f"    values differ by up to {100 * reference.largest_difference:.3g} % of the largest")
    if found.same:
        print("The same compounds and references.")
        return Exit.IDENTIFIED
    print(
        f"Compounds: {len(found.compounds_added)} added, {len(found.compounds_removed)} removed, "
        f"{len(found.compounds_changed)} changed. References: {len(found.references_added)} added, "
        f"{len(found.references_removed)} removed, {len(found.references_changed)} changed."
    )
    return Exit.DIFFERENT


def _add_merge(commands: Any) -> None:
    parser = commands.add_parser(
        "merge",
        help="put libraries together",
        description="Write the union of libraries. The same reference in several is kept once; every "
        "reference keeps its source and licence. Libraries that contradict each other are refused.",
    )
    parser.add_argument("libraries", metavar="LIB", nargs="+", help="two or more library files or names")
    parser.add_argument(
        "--output", "-o", type=Path, required=True, metavar="NAME.h5", help="library to write"
    )
    parser.add_argument(
        "--prefer", choices=["first", "last"], help="whose word counts where libraries contradict each other"
    )
    add_naming_options(parser)
    add_force_option(parser)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(run=_merge)


def _merge(args: argparse.Namespace) -> int:
    from spectralid.library import merge_libraries, open_library

    check_new(args, args.output)
    report = merge_libraries(
        [open_library(name) for name in args.libraries],
        args.output,
        prefer=args.prefer,
        name=args.name,
        version=args.version,
        created=created(args),
        progress=lambda items: progress(items, "reference"),
    )
    if args.json:
        print_json(report.to_dict())
        return Exit.IDENTIFIED
    for sentence in report.settled:
        print(f"spectralid: settled by --prefer {args.prefer}: {sentence}", file=sys.stderr)
    print(
        f"{report.references} references of {report.compounds} compounds written to {report.library}; "
        f"{len(report.duplicates)} were there more than once."
    )
    print("Licences:")
    for licence, count in report.licences.items():
        print(f"  {count:6d}  {licence}")
    return Exit.IDENTIFIED


def _add_subset(commands: Any) -> None:
    parser = commands.add_parser(
        "subset",
        help="the part of a library that is needed",
        description="Write the references that fit every criterion given: for small devices, or for a task.",
    )
    parser.add_argument("library", metavar="LIB", help="library file or name of a bundled library")
    parser.add_argument(
        "--output", "-o", type=Path, required=True, metavar="NAME.h5", help="library to write"
    )
    parser.add_argument(
        "--watch-list",
        type=Path,
        metavar="FILE",
        help="substances: a name, CAS number, InChIKey or slug per line, or CSV with such columns",
    )
    parser.add_argument(
        "--category", action="append", default=[], metavar="FAMILY[/SUBFAMILY]", help="may be given again"
    )
    parser.add_argument(
        "--technique",
        action="append",
        default=[],
        choices=["raman", "ftir", "ftir_atr", "ftir_transmission"],
        help="may be given again; ftir is every infrared one",
    )
    parser.add_argument(
        "--tier",
        action="append",
        default=[],
        choices=["measured", "literature", "computed"],
        help="may be given again",
    )
    add_naming_options(parser, of="LIB")
    add_force_option(parser)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(run=_subset)


def _subset(args: argparse.Namespace) -> int:
    from spectralid.library import open_library, read_watch_list, subset_library

    check_new(args, args.output)
    report = subset_library(
        open_library(args.library),
        args.output,
        watch_list=None if args.watch_list is None else read_watch_list(args.watch_list),
        categories=args.category,
        techniques=args.technique,
        tiers=args.tier,
        name=args.name,
        version=args.version,
        created=created(args),
        progress=lambda items: progress(items, "reference"),
    )
    if args.json:
        print_json(report.to_dict())
        return Exit.IDENTIFIED
    for text in report.unmatched:
        print(f"spectralid: the library has no compound {text!r}.", file=sys.stderr)
    for slug in report.without_references:
        print(f"spectralid: no reference of {slug} fits the selection.", file=sys.stderr)
    print(f"{report.references} references of {report.compounds} compounds written to {report.library}.")
    return Exit.IDENTIFIED
