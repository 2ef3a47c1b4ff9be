"""``spectralid library families``: learn the families of a library, so that unknown members are found."""

from __future__ import annotations

import argparse
from typing import Any

from spectralid.cli._exit import Exit
from spectralid.cli._inputs import print_json
from spectralid.errors import LibraryError

__all__ = ["add_parsers"]


def add_parsers(commands: Any) -> None:
    """Register the sub-command."""
    parser = commands.add_parser(
        "families",
        help="learn the families of a library, so that members it does not hold are found",
        description="Learn what the members of each family (fentanyl-related, nitazenes …) in a library have "
        "in common, and keep the model beside the library file; 'identify' then looks for members that are "
        "in no library. It takes some minutes, once for each version of a library.",
    )
    parser.add_argument("library", metavar="LIB", help="library file")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=_families)


def _families(args: argparse.Namespace) -> int:
    from spectralid.identify.family_model import FamilyModel
    from spectralid.library import open_library
    from spectralid.spectrum import Technique

    learned: list[dict[str, Any]] = []
    with open_library(args.library) as library:
        kinds = [k for k in (Technique.RAMAN, Technique.FTIR) if library.holds(k)]
        refused = []
        for kind in kinds:
            try:
                model = FamilyModel.of(library, kind)
            except LibraryError as error:
                refused.append(str(error))
                continue
            place = FamilyModel.place(library, kind)
            learned.append(
                {"technique": model.technique.value, "families": list(model.families), "file": str(place)}
            )
    if not learned:
        raise LibraryError(" ".join(refused) or f"The library {args.library!r} holds no measured references.")
    if args.json:
        print_json({"learned": learned, "refused": refused})
    else:
        for entry in learned:
            print(f"{entry['technique']}: {', '.join(entry['families'])}; kept in {entry['file']}")
        for reason in refused:
            print(reason)
    return Exit.IDENTIFIED
