"""The parser of the command line as the site shows it: with nobody's home folder in its defaults."""

from __future__ import annotations

import argparse
from pathlib import Path

from spectralid.cli import _main


def parser() -> argparse.ArgumentParser:
    """The parser of ``spectralid``."""
    whole = _main._parser()
    _without_home(whole)
    return whole


def _without_home(one: argparse.ArgumentParser) -> None:
    home = str(Path.home())
    for action in one._actions:
        if isinstance(action.default, str | Path) and str(action.default).startswith(home):
            action.default = str(action.default).replace(home, "~", 1)
        if action.help:
            action.help = action.help.replace(home, "~")
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                _without_home(child)
