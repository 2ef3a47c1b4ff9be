"""Tracks D (families) and G (calibration), which are commands of their own; here they join the run."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from _shared import shared_data
from measures import Measure, proportion

from spectralid import SpectralIDError

Found = tuple[list[Measure], dict[str, list[dict[str, Any]]], dict[str, Any]]
# Share of calibrate.py's scans: the record itself is made and measured by that command on all of them.
_CALIBRATION_SHARE = 0.15
_FAMILIES_FROM = 1.0
_GROUPS = 6
_RATES = {"family recall at 1 % false alarms": 0.01, "family recall at 0.1 % false alarms": 0.001}


class UnavailableError(Exception):
    """Why a track was left out."""


def families(out: Path, folder: Path, scale: float) -> Found:
    """Track D: from the file families.py wrote into the folder of results, else its real set is run here."""
    try:
        import families as command
    except ImportError:
        raise UnavailableError("benchmarks/identification/families.py is not there") from None
    file = out / "families.json"
    if file.exists():
        found = [command.Outcome(**o) for o in json.loads(file.read_text(encoding="utf-8"))]
    elif scale >= _FAMILIES_FROM:
        found = list(command.measured(shared_data(), folder, {"drugs"}, _GROUPS))
    else:
        raise UnavailableError(
            f"it learns one model for each substance left out; from --scale {_FAMILIES_FROM:g} on, or run "
            f"families.py --out {out} before"
        )
    out_measures = []
    for track, group in dict.fromkeys((o.track, o.group) for o in found):
        mine = [o for o in found if (o.track, o.group) == (track, group) and o.family in command.WATCHED]
        for name, rate in _RATES.items():
            hits = [hit for family in command.WATCHED for hit in _hits(mine, family, rate)]
            if hits:
                out_measures.append(proportion("D", f"{track}, {group}", "spectralid", name, hits))
    return out_measures, {"D: by family": command.table(found)}, {}


def _hits(outcomes: Sequence[Any], family: str, rate: float) -> list[bool]:
    """Members of a family above the threshold that only so many strangers exceed."""
    strangers = np.array([o.ratio for o in outcomes if o.family == family and o.truth not in (family, "?")])
    members = [o.ratio for o in outcomes if o.family == family and o.truth == family]
    if not strangers.size:
        return []
    bar = np.sort(strangers)[::-1][int(rate * strangers.size)]
    return [ratio > bar for ratio in members]


def calibration(scale: float, jobs: int) -> Found:
    """Track G."""
    import calibrate

    try:
        return calibrate.measured(_CALIBRATION_SHARE * scale, jobs)
    except (SpectralIDError, SystemExit) as reason:
        raise UnavailableError(str(reason)) from reason
