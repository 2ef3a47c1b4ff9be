"""``spectralid library``: import, info and export of reference libraries, and what else there is for them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from spectralid.cli import library_combine, library_families, library_fetch, library_sign, library_update
from spectralid.cli._exit import Exit
from spectralid.cli._inputs import print_json, progress
from spectralid.cli._library import add_naming_options, created, import_exit, print_import
from spectralid.cli._output import add_force_option, check_new
from spectralid.cli._tiers import fitness_line

__all__ = ["add_parser"]


def add_parser(subparsers: Any) -> None:
    """Register the command and its sub-commands."""
    parser = subparsers.add_parser(
        "library",
        help="make, describe, check, compare and combine reference libraries",
        description="Make, describe, check, compare and combine reference libraries.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_import(commands)

    info = commands.add_parser("info", help="what is in a library")
    export = commands.add_parser(
        "export",
        help="write every reference to a file, with an index",
        description="Write every reference to a file of its own and index.csv beside them; "
        "'library import' takes the folder back.",
    )
    for sub in (info, export):
        sub.add_argument(
            "library", metavar="LIB", nargs="?", default="spectralid",
            help="library file or name of a bundled library (default: %(default)s)",
        )  # fmt: skip
        sub.add_argument("--json", action="store_true", help="print the result as JSON")
    export.add_argument(
        "--output", "-o", type=Path, required=True, metavar="DIR", help="folder, or CSV file, to write to"
    )
    export.add_argument(
        "--format",
        choices=["jcamp-dx", "text", "table"],
        default="jcamp-dx",
        help="format of the spectrum files, or 'table' for one CSV with a line per reference: compound, "
        "provenance and strongest bands (default: %(default)s)",
    )
    add_force_option(export)
    info.set_defaults(run=_info)
    export.set_defaults(run=_export)
    library_sign.add_parsers(commands)
    library_combine.add_parsers(commands)
    library_fetch.add_parsers(commands)
    library_families.add_parsers(commands)
    library_update.add_parsers(commands)


def _add_import(commands: Any) -> None:
    parser = commands.add_parser(
        "import",
        help="make a library from a folder of spectrum files",
        description="Make a library from every spectrum file below a folder. A file that cannot be read is "
        "reported and the rest goes on; then the exit code is 3.",
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder with the files")
    parser.add_argument(
        "--output", "-o", type=Path, required=True, metavar="NAME.h5", help="library to write"
    )
    parser.add_argument(
        "--mapping",
        type=Path,
        metavar="MAP.csv",
        help="what the files are: CSV with the column file and any of slug, name, cas, inchikey, form, "
        "category, technique, tier, source, licence, url, citation … (default: the index.csv of an export)",
    )
    parser.add_argument(
        "--technique",
        choices=["raman", "ftir_atr", "ftir_transmission", "ftir"],
        help="technique, for files that do not state it",
    )
    parser.add_argument(
        "--tier", choices=["measured", "literature", "computed"], default="measured",
        help="what the spectra rest on (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--source", default="", help="where the spectra come from")
    parser.add_argument("--licence", default="", help="terms under which they may be used")
    add_naming_options(parser)
    add_force_option(parser)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(run=_import)


def _import(args: argparse.Namespace) -> int:
    from spectralid.library import import_folder

    check_new(args, args.output)
    report = import_folder(
        args.folder,
        args.output,
        args.mapping,
        technique=args.technique,
        tier=args.tier,
        source=args.source,
        licence=args.licence,
        name=args.name,
        version=args.version,
        created=created(args),
        progress=lambda files: progress(files, "file"),
    )
    if args.json:
        print_json(report.to_dict())
    else:
        print_import(report)
    return import_exit(report)


def _info(args: argparse.Namespace) -> int:
    from spectralid.library import Tier, describe, open_library

    library = open_library(args.library)
    facts = describe(library)
    if args.json:
        print_json(facts | {"training_inchikeys": list(library.training_substances)})
        return Exit.IDENTIFIED
    print(f"{facts['name']} {facts['version']}, {facts['created'] or 'date not stated'}")
    print(f"  file        {facts['path']} ({facts['file_bytes'] / 1e6:.2f} MB, format {facts['schema']})")
    print(f"  identity    {facts['sha256']}")
    print(f"  made by     {facts['generator']}: {facts['recipe']}")
    print(
        f"  contents    {facts['references']} references of {facts['compounds_with_reference']} of "
        f"{facts['compounds']} compounds"
    )
    print(f"  known       {facts['compounds']} compounds by name, identifiers and hazards")
    print("  tiers")
    for tier, techniques in facts["tiers_by_technique"].items():
        shown = ", ".join(f"{count} {name}" for name, count in techniques.items())
        print(f"    {facts['tiers'][tier]:6d}  {tier}: {shown}")
    tiers = [tier.value for tier in Tier if tier.value in facts["tiers"]]
    print(f"  categories ({', '.join(tiers)})")
    for name, of_tier in facts["categories_by_tier"].items():
        print("    " + " ".join(f"{of_tier.get(tier, 0):6d}" for tier in tiers) + f"  {name}")
    print("  licences")
    for name, count in facts["licences"].items():
        print(f"    {count:6d}  {name}")
    if library.fitness:
        print("  fitness (95 % intervals)")
        for record in library.fitness:
            print(fitness_line(record, f"{record.tier.value}, {record.technique}, {record.group}", 4))
    if library.training_substances:
        print(
            f"  training    {facts['training_substances']} substances taught the computed references; "
            "tests on them flatter that tier (--json lists them)"
        )
    return Exit.IDENTIFIED


def _export(args: argparse.Namespace) -> int:
    from spectralid.library import export_library, export_table, open_library

    library = open_library(args.library)

    def shown(references: Any) -> Any:
        return progress(references, "reference")

    if args.format == "table":
        check_new(args, args.output)
        count = export_table(library, args.output, progress=shown)
    else:
        count = export_library(library, args.output, args.format, progress=shown)
    if args.json:
        place = "file" if args.format == "table" else "folder"
        print_json({place: str(args.output), "format": args.format, "references": count})
    else:
        print(f"{count} references written to {args.output}.")
    return Exit.IDENTIFIED
