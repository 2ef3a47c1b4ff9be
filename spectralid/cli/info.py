"""``spectralid info``: what is in a spectrum file, without judging it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from spectralid.cli._exit import Exit
from spectralid.cli._inputs import (
    Unread,
    add_reading_options,
    print_json,
    progress,
    read_input,
    report_unread,
)

if TYPE_CHECKING:
    from spectralid.spectrum import Spectrum

__all__ = ["add_parser"]


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "info",
        help="show what spectrum files hold",
        description="Show what spectrum files hold: technique, range, acquisition facts, history, identity.",
    )
    add_reading_options(parser)
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.set_defaults(run=run)


def _describe(spectrum: Spectrum) -> dict[str, Any]:
    out = spectrum.to_dict()
    for values in ("axis", "intensity", "sd"):
        out.pop(values, None)
    low, high = spectrum.range
    out["range_cm1"] = [low, high]
    out["points"] = spectrum.n_points
    out["missing_points"] = int(spectrum.missing.sum())
    return out


def _print(spectrum: Spectrum) -> None:
    about = _describe(spectrum)
    print(f"{about['source']}")
    print(f"  name       {about['name'] or '(none)'}")
    print(f"  technique  {about['technique']}, ordinate {about['unit']}")
    low, high = about["range_cm1"]
    missing = f", {about['missing_points']} missing" if about["missing_points"] else ""
    print(f"  axis       {low:g} to {high:g} cm⁻¹, {about['points']} points{missing}")
    for key, value in about["acquisition"].items():
        if key != "metadata":
            print(f"  {key:<10} {', '.join(value) if isinstance(value, list) else value}")
    for step in about["history"]:
        print(f"  history    {step['name']} {step['parameters']}")
    print(f"  sha256     {about['sha256']}")


def run(args: argparse.Namespace) -> int:
    """Carry out the command."""
    described: list[dict[str, Any]] = []
    refused: list[dict[str, str]] = []
    for file in progress(args.files, "file"):
        loaded = read_input(file, args)
        if isinstance(loaded, Unread):
            report_unread(loaded)
            refused.append({"file": loaded.name, "error": str(loaded.error)})
            continue
        for spectrum in loaded:
            if args.json:
                described.append(_describe(spectrum))
            else:
                _print(spectrum)
    if args.json:
        print_json({"spectra": described, "unreadable": refused})
    return Exit.UNREADABLE if refused else Exit.IDENTIFIED
