"""Preprocessing: steps that work on arrays as scikit-learn transformers and on a `Spectrum` as functions.

Every step takes ``(n_spectra, n_points)`` arrays through `transform` or `apply`, and a `Spectrum` when
called; then it appends itself to the spectrum's history, from which `Pipeline.from_history` can do it again.
Missing points (NaN) are never spread and never filled silently.
"""

from spectralid.preprocess._base import Step, StepResult
from spectralid.preprocess.derivative import Derivative
from spectralid.preprocess.normalize import Normalize
from spectralid.preprocess.pipeline import STEPS, Pipeline
from spectralid.preprocess.resample import Resample, resample
from spectralid.preprocess.smooth import SavitzkyGolay, Whittaker

__all__ = [
    "STEPS",
    "Derivative",
    "Normalize",
    "Pipeline",
    "Resample",
    "SavitzkyGolay",
    "Step",
    "StepResult",
    "Whittaker",
    "resample",
]
