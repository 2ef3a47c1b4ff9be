"""Numbers of an analysis that say how far to trust it: a plain function of its JSON form."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

__all__ = ["Features", "features"]

# A rival this many nats behind is none.
_NO_RIVAL: Final = 50.0
_TINY: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Features:
    """What calibration goes by.

    Attributes
    ----------
    components : tuple of mapping of str to float
        Of each component, in the order of the analysis; the numbers of the scan among them.
    scan : mapping of str to float
        Of the scan as a whole. NaN stands for what cannot be told.
    """

    components: tuple[Mapping[str, float], ...]
    scan: Mapping[str, float]


def features(analysis: Mapping[str, Any]) -> Features:
    """Draw the features of an analysis.

    Parameters
    ----------
    analysis : mapping
        As `Analysis.to_dict` gives it.

    Returns
    -------
    Features
        Log odds as their inverse hyperbolic sine (logarithms of either sign), ratios and counts as
        logarithms, so that a linear model can use them. What an analysis does not hold has no entry.
    """
    components: Sequence[Mapping[str, Any]] = analysis["components"]
    own = [_component(c) for c in components]
    unexplained = analysis["unexplained"]
    scan = {
        "log_odds": math.asinh(analysis["log_odds"] or 0.0),
        "components": float(len(components)),
        "shift": abs(float(analysis["shift_cm1"])),
        "unexplained": math.log1p(len(unexplained)),
        "unexplained_share": max((float(u["share"]) for u in unexplained), default=0.0),
    }
    if "strongest_unexplained_z" in analysis:
        scan["unexplained_z"] = math.log1p(max(0.0, float(analysis["strongest_unexplained_z"])))
    if "snr" in analysis:
        snr = analysis["snr"]
        scan["snr"] = math.nan if snr is None else math.log(max(float(snr), _TINY))
    shares = [float(c["share"]) for c in components]
    summary = {
        "least_supported": min((c["supported"] for c in own), default=0.0),
        "mean_supported": sum(s * c["supported"] for s, c in zip(shares, own, strict=True)),
        "all_missing": math.log1p(sum(len(c["bands"]["missing_cm1"]) for c in components)),
        "best_clearest": max((c["clearest"] for c in own), default=0.0),
        "worst_scatter": max((c["scatter"] for c in own), default=0.0),
        "least_presence": min((c["presence"] for c in own), default=0.0),
    }
    return Features(tuple({**c, **scan} for c in own), {**scan, **summary})


def _component(component: Mapping[str, Any]) -> dict[str, float]:
    bands = component["bands"]
    ratios, sd = np.asarray(bands["ratios"], dtype=float), np.asarray(bands["sd"], dtype=float)
    n = max(1, ratios.size)
    z = ratios / np.maximum(sd, _TINY)
    supported = int((z > 3).sum())
    chance = min(max(float(component["probability"]), 1e-15), 1 - 1e-15)
    share, width = float(component["share"]), float(component["share_high"] - component["share_low"])
    out = {
        "presence": math.asinh(math.log(chance / (1 - chance))),
        "equivalents": math.log1p(len(component["equivalent"])),
        "supported": supported / n,
        "bands": math.log1p(supported),
        "missing": math.log1p(len(bands["missing_cm1"])),
        "scatter": float(np.median(np.abs(ratios - 1))) if ratios.size else 0.0,
        "clearest": math.log(max(1.0, float(z.max()))) if ratios.size else 0.0,
        "share": math.log(max(share, _TINY)),
        "certainty": math.log(max(share, _TINY) / max(width, 1e-4)),
        "holds": float(component["holds"]),
    }
    if "gain" in component:
        out["gain"] = math.asinh(float(component["gain"]))
    if "rivals" in component:
        out["rival"] = math.asinh(min([_NO_RIVAL, *(float(cost) for _, cost in component["rivals"])]))
    return out
