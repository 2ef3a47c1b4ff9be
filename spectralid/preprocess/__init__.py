"""Preprocessing: steps that work on arrays as scikit-learn transformers and on a `Spectrum` as functions.

Every step takes ``(n_spectra, n_points)`` arrays through `transform` or `apply`, and a `Spectrum` when
called; then it appends itself to the spectrum's history, from which `Pipeline.from_history` can do it again.
Missing points (NaN) are never spread and never filled silently.

The steps load scikit-learn when first used; `resample`, which matching needs, does without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spectralid._lazy import lazy
from spectralid.preprocess.resample import resample

_WHERE = {
    "STEPS": "pipeline",
    "ATRCorrection": "atr",
    "Baseline": "baseline",
    "Convert": "convert",
    "Crop": "crop",
    "Derivative": "derivative",
    "Despike": "despike",
    "MarkMissing": "mark",
    "Normalize": "normalize",
    "Pipeline": "pipeline",
    "Resample": "resample_step",
    "SavitzkyGolay": "smooth",
    "Step": "_base",
    "StepResult": "_base",
    "Whittaker": "smooth",
    "baseline_of": "baseline",
    "despike_frames": "despike",
    "penetration_depth": "atr",
    "to_absorbance": "convert",
}

__all__ = [
    "STEPS",
    "ATRCorrection",
    "Baseline",
    "Convert",
    "Crop",
    "Derivative",
    "Despike",
    "MarkMissing",
    "Normalize",
    "Pipeline",
    "Resample",
    "SavitzkyGolay",
    "Step",
    "StepResult",
    "Whittaker",
    "baseline_of",
    "despike_frames",
    "penetration_depth",
    "resample",
    "to_absorbance",
]

if TYPE_CHECKING:
    from spectralid.preprocess._base import Step as Step
    from spectralid.preprocess._base import StepResult as StepResult
    from spectralid.preprocess.atr import ATRCorrection as ATRCorrection
    from spectralid.preprocess.atr import penetration_depth as penetration_depth
    from spectralid.preprocess.baseline import Baseline as Baseline
    from spectralid.preprocess.baseline import baseline_of as baseline_of
    from spectralid.preprocess.convert import Convert as Convert
    from spectralid.preprocess.convert import to_absorbance as to_absorbance
    from spectralid.preprocess.crop import Crop as Crop
    from spectralid.preprocess.derivative import Derivative as Derivative
    from spectralid.preprocess.despike import Despike as Despike
    from spectralid.preprocess.despike import despike_frames as despike_frames
    from spectralid.preprocess.mark import MarkMissing as MarkMissing
    from spectralid.preprocess.normalize import Normalize as Normalize
    from spectralid.preprocess.pipeline import STEPS as STEPS
    from spectralid.preprocess.pipeline import Pipeline as Pipeline
    from spectralid.preprocess.resample_step import Resample as Resample
    from spectralid.preprocess.smooth import SavitzkyGolay as SavitzkyGolay
    from spectralid.preprocess.smooth import Whittaker as Whittaker

__getattr__, __dir__ = lazy(__name__, _WHERE, __all__)
