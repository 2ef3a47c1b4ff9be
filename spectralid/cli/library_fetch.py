"""``spectralid library fetch``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from spectralid.cli._exit import Exit
from spectralid.cli._inputs import print_json, progress
from spectralid.cli._library import add_naming_options, created, import_exit, print_import
from spectralid.cli._output import add_force_option, check_new
from spectralid.errors import ParameterError

__all__ = ["add_parsers"]


def add_parsers(commands: Any) -> None:
    """Register the sub-command."""
    parser = commands.add_parser(
        "fetch",
        help="download a public library and import it",
        description="Show the terms of a public library, download it once they are accepted, check it, and "
        "make a library of it. A download that was cut off goes on where it stopped.",
    )
    parser.add_argument("recipe", metavar="NAME", nargs="?", help="name of a recipe, or a .toml file")
    parser.add_argument("--list", action="store_true", help="list the recipes")
    parser.add_argument(
        "--output", "-o", type=Path, metavar="LIB.h5", help="library to write (default: NAME.h5)"
    )
    parser.add_argument("--accept-licence", action="store_true", help="accept the terms without being asked")
    parser.add_argument(
        "--dir", type=Path, metavar="DIR", help="where the downloaded files are kept (default: user's cache)"
    )
    add_naming_options(parser, of="the recipe")
    add_force_option(parser)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(run=_fetch)


def _fetch(args: argparse.Namespace) -> int:
    from spectralid.library.fetch import fetch_library
    from spectralid.library.recipes import load_recipe

    if args.list:
        return _list(args)
    if args.recipe is None:
        raise ParameterError("NAME", None, "given; 'spectralid library fetch --list' lists the recipes")
    recipe = load_recipe(args.recipe)
    output = args.output or Path(f"{recipe.name}.h5")
    check_new(args, output)
    # On standard error, so that the report alone is on standard output.
    print(f"{recipe.title}\n{recipe.home}\n\n{recipe.licence_text.strip()}\n", file=sys.stderr)
    print(f"Cite: {recipe.citation}\n", file=sys.stderr)
    if not (args.accept_licence or _accepted()):
        raise ParameterError("terms", "no", "accepted, with --accept-licence or by answering yes")
    bar = _Bar()
    try:
        report = fetch_library(
            recipe,
            output,
            accept_licence=True,
            folder=args.dir,
            name=args.name,
            version=args.version or "1",
            created=created(args),
            downloading=bar.show,
            progress=lambda files: progress(files, "file"),
        )
    finally:
        bar.close()
    if args.json:
        print_json(report.to_dict())
        return import_exit(report.imported)
    print_import(report.imported)
    for file in report.files:
        how = "downloaded" if file.downloaded else "was there"
        print(f"{file.name}: {how}, {file.size} bytes, SHA-256 {file.sha256} ({file.trust.value})")
        if file.trust.name == "FIRST_USE":
            print("  No checksum is known for it: it was trusted as it came, and recorded.")
    if report.left_in_archives:
        print(f"{report.left_in_archives} files of the archives were not asked for.")
    return import_exit(report.imported)


def _list(args: argparse.Namespace) -> int:
    from spectralid.library.recipes import available_recipes

    recipes = available_recipes()
    if args.json:
        print_json(
            [{k: getattr(r, k) for k in ("name", "title", "home", "licence", "checked")} for r in recipes]
        )
    else:
        for recipe in recipes:
            print(f"{recipe.name:24s} {recipe.title}\n{'':24s} {recipe.licence}\n{'':24s} {recipe.checked}")
    return Exit.IDENTIFIED


def _accepted() -> bool:
    if not sys.stdin.isatty():
        return False
    print("Do you accept these terms? [yes/no] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() == "yes"


class _Bar:
    """A progress bar per download, on standard error if somebody watches."""

    def __init__(self) -> None:
        self._name = ""
        self._bar: Any = None

    def show(self, name: str, done: int, total: int | None) -> None:
        """Say that so many bytes of a file have arrived."""
        from tqdm import tqdm

        if self._bar is None or name != self._name:
            self.close()
            quiet = not sys.stderr.isatty()
            self._bar = tqdm(desc=name, unit="B", unit_scale=True, disable=quiet, leave=False)
            self._name = name
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
