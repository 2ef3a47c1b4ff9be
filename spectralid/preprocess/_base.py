"""The base every preprocessing step shares: validation, the array call and the spectrum call."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin

import spectralid
from spectralid.errors import InvalidSpectrumError, ParameterError
from spectralid.preprocess._constraints import Axis, Constraint
from spectralid.preprocess._points import as_axis, as_spectra
from spectralid.spectrum import Acquisition, FloatArray, IntensityUnit, ProcessingStep, Spectrum

__all__ = ["OUTCOME", "Step", "StepResult", "Transformer"]

OUTCOME = "outcome"
"""Key of a recorded step's parameters that holds what came out, not what was asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class StepResult:
    """What a step made of some spectra.

    Attributes
    ----------
    axis : ndarray of float, shape (n_points,)
        Axis after the step.
    intensity : ndarray of float, shape (n_spectra, n_points)
        Intensities after the step; NaN where missing.
    diagnostics : mapping
        What the step can say about how it went, by name; arrays have one row per spectrum.
    """

    axis: FloatArray
    intensity: FloatArray
    diagnostics: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


class Transformer(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A scikit-learn transformer of spectra that learns nothing.

    `fit` only checks. What `transform` gives depends on the parameters and on each spectrum alone, never on
    what was fitted or transformed before.
    """

    axis: npt.ArrayLike | None

    @abstractmethod
    def apply(self, axis: npt.ArrayLike | None, X: npt.ArrayLike) -> StepResult:
        """Do the work on arrays and say how it went.

        Parameters
        ----------
        axis : array_like of float, shape (n_points,), or None
            Raman shift or wavenumber in cm⁻¹, strictly ascending. ``None`` counts points instead, where the
            step makes sense without an axis.
        X : array_like of float, shape (n_spectra, n_points)
            Intensities; NaN where missing.

        Returns
        -------
        StepResult

        Raises
        ------
        ParameterError
            If a parameter is not allowed, or the step needs an axis and has none.
        InvalidSpectrumError
            If axis and intensities do not make spectra, or hold nothing the step can work with.
        """

    @abstractmethod
    def validate(self) -> None:
        """Raise `ParameterError` unless every parameter is allowed."""

    def fit(self, X: npt.ArrayLike, y: object = None) -> Self:  # noqa: ARG002  # scikit-learn's signature
        """Check the parameters and the shape of `X`; nothing is learned from the values.

        Parameters
        ----------
        X : array_like of float, shape (n_spectra, n_points)
            Intensities.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ParameterError
            If a parameter is not allowed.
        InvalidSpectrumError
            If `X` does not hold spectra.
        """
        self.validate()
        self.n_features_in_ = as_spectra(X).shape[1]
        return self

    def transform(self, X: npt.ArrayLike) -> FloatArray:
        """Intensities after the step, on the axis given to the constructor.

        Parameters
        ----------
        X : array_like of float, shape (n_spectra, n_points)
            Intensities; NaN where missing.

        Returns
        -------
        ndarray of float, shape (n_spectra, n_points_after)

        Raises
        ------
        ParameterError, InvalidSpectrumError
            As `apply`; the latter also if `X` has another number of points than what was fitted.
        """
        fitted = getattr(self, "n_features_in_", None)
        X = as_spectra(X)
        if fitted is not None and X.shape[1] != fitted:
            raise InvalidSpectrumError(
                f"{type(self).__name__} was fitted to spectra of {fitted} points; these have {X.shape[1]}."
            )
        return self.apply(self.axis, X).intensity

    def __sklearn_is_fitted__(self) -> bool:
        """Whether `transform` may be called: always."""
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.allow_nan = True
        return tags


class Step(Transformer):
    """One preprocessing step.

    A subclass says what it is called (`name`), what its parameters may be (`constraints`), and how it maps
    (axis, intensities) to (axis, intensities) in `_map`. Everything else is done here.
    """

    name: ClassVar[str]
    constraints: ClassVar[Mapping[str, Constraint]]

    @abstractmethod
    def _map(self, axis: FloatArray, X: FloatArray) -> StepResult:
        """Do the work; inputs are checked copies or read-only, parameters are valid."""

    def _validate_together(self) -> None:
        """Raise `ParameterError` if parameters do not fit each other."""

    def _needs_axis(self) -> bool:
        """Whether the step, with these parameters, means nothing without an axis in cm⁻¹."""
        return False

    def _completed(self, spectrum: Spectrum) -> Self:  # noqa: ARG002  # for subclasses
        """The step with what the spectrum knows filled in; raises if it cannot be used on the spectrum."""
        return self

    def _unit(self, unit: IntensityUnit) -> IntensityUnit:
        """Ordinate after the step."""
        return unit

    def _sd(self, spectrum: Spectrum, result: StepResult) -> FloatArray | None:  # noqa: ARG002  # for subclasses
        """Standard deviation after the step; ``None`` where it is no longer known."""
        return None

    def _outcome(self, result: StepResult) -> dict[str, Any]:  # noqa: ARG002  # for subclasses
        """What the history should tell about how it went (one spectrum), JSON-ready."""
        return {}

    def _acquisition(self, acquisition: Acquisition, result: StepResult) -> Acquisition:  # noqa: ARG002
        """Facts about the measurement after the step (one spectrum)."""
        return acquisition

    @classmethod
    def version(cls) -> str:
        """Version of the code that does the work, as the history records it."""
        return f"spectralid {spectralid.__version__}"

    def validate(self) -> None:
        """Raise `ParameterError` unless every parameter is allowed."""
        for name, constraint in {**self.constraints, "axis": Axis()}.items():
            constraint.check(name, getattr(self, name))
        self._validate_together()

    def apply(self, axis: npt.ArrayLike | None, X: npt.ArrayLike) -> StepResult:
        """Do the work on arrays and say how it went; see `Transformer.apply`."""
        self.validate()
        X = as_spectra(X)
        if axis is None:
            if self._needs_axis():
                raise ParameterError(
                    "axis", None, f"the axis in cm⁻¹, because {self.name} with these parameters works in cm⁻¹"
                )
            points = np.arange(X.shape[1], dtype=np.float64)
        else:
            points = as_axis(axis, X.shape[1])
        return self._map(points, X)

    def __call__(self, spectrum: Spectrum) -> Spectrum:
        """The spectrum after this step, with the step appended to its history.

        Parameters
        ----------
        spectrum : Spectrum
            Not changed.

        Returns
        -------
        Spectrum

        Raises
        ------
        ParameterError, InvalidSpectrumError
            As `apply`; also if no measured point is left.
        TechniqueError
            If the step does not fit how the spectrum was measured.
        """
        step = self._completed(spectrum)
        result = step.apply(spectrum.axis, spectrum.intensity[np.newaxis])
        intensity = result.intensity[0]
        if np.isnan(intensity).all():
            low, high = spectrum.range
            raise InvalidSpectrumError(
                f"The step {self.name} leaves no measured point of the spectrum "
                f"({low:g} to {high:g} cm⁻¹, {int((~spectrum.missing).sum())} measured points) "
                f"between {result.axis[0]:g} and {result.axis[-1]:g} cm⁻¹; check its parameters."
            )
        parameters = step.parameters()
        outcome = step._outcome(result)
        return spectrum.processed(
            ProcessingStep(
                self.name, {**parameters, OUTCOME: outcome} if outcome else parameters, self.version()
            ),
            axis=result.axis,
            intensity=intensity,
            sd=None if spectrum.sd is None else step._sd(spectrum, result),
            unit=step._unit(spectrum.unit),
        ).replace(acquisition=step._acquisition(spectrum.acquisition, result))

    def parameters(self) -> dict[str, Any]:
        """The constructor's arguments, JSON-ready, without the axis, which a spectrum brings itself."""
        params: dict[str, Any] = self.get_params(deep=False)
        return {name: _plain(value) for name, value in params.items() if name != "axis"}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value
