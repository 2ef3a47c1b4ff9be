"""Steps one after the other, as a scikit-learn transformer and as a record that can be replayed."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Self

import numpy.typing as npt

from spectralid.errors import ParameterError
from spectralid.preprocess._base import OUTCOME, Step, StepResult, Transformer
from spectralid.preprocess._constraints import Axis
from spectralid.preprocess.atr import ATRCorrection
from spectralid.preprocess.baseline import Baseline
from spectralid.preprocess.convert import Convert
from spectralid.preprocess.crop import Crop
from spectralid.preprocess.derivative import Derivative
from spectralid.preprocess.despike import Despike
from spectralid.preprocess.mark import MarkMissing
from spectralid.preprocess.normalize import Normalize
from spectralid.preprocess.resample_step import Resample
from spectralid.preprocess.smooth import SavitzkyGolay, Whittaker
from spectralid.spectrum import ProcessingStep, Spectrum

__all__ = ["STEPS", "Pipeline"]

STEPS: Final[Mapping[str, type[Step]]] = MappingProxyType(
    {
        step.name: step
        for step in (
            ATRCorrection,
            Baseline,
            Convert,
            Crop,
            Derivative,
            Despike,
            MarkMissing,
            Normalize,
            Resample,
            SavitzkyGolay,
            Whittaker,
        )
    }
)
"""Every step by the name the history records."""


class Pipeline(Transformer):
    """Steps carried out one after the other.

    Parameters
    ----------
    steps : sequence of Step
        In order. Their own `axis` must be left out: the axis travels through the pipeline.
    axis : array_like of float, shape (n_points,), optional
        Axis of the first step in cm⁻¹ for `transform`. A spectrum brings its own.

    Notes
    -----
    The steps' parameters are reached as ``<step>__<parameter>`` as in scikit-learn; steps that occur more
    than once are numbered: ``normalize``, ``normalize-2``.

    Examples
    --------
    >>> from spectralid import Spectrum
    >>> from spectralid.preprocess import Derivative, Normalize, Pipeline
    >>> raw = Spectrum([400, 402, 404, 406, 408], [1, 2, 5, 2, 1], technique="raman")
    >>> ready = Pipeline([Derivative(window=3, order=2), Normalize("vector")])(raw)
    >>> [step.name for step in ready.history]
    ['derivative', 'normalize']
    >>> Pipeline.from_history(ready.history)(raw).sha256 == ready.sha256
    True
    """

    def __init__(self, steps: Sequence[Step] = (), *, axis: npt.ArrayLike | None = None) -> None:
        self.steps = steps
        self.axis = axis

    def validate(self) -> None:
        """Raise `ParameterError` unless there are steps and every parameter is allowed."""
        self._check_steps()
        Axis().check("axis", self.axis)
        for step in self.steps:
            step.validate()

    def _check_steps(self) -> None:
        steps = self.steps
        if (
            not isinstance(steps, list | tuple)
            or not all(isinstance(step, Step) for step in steps)
            or not steps
        ):
            raise ParameterError("steps", steps, "a list of one or more preprocessing steps")
        for step in steps:
            if step.axis is not None:
                raise ParameterError(
                    f"axis of the step {step.name}", step.axis, "left out; give the pipeline the axis instead"
                )

    def apply(self, axis: npt.ArrayLike | None, X: npt.ArrayLike) -> StepResult:
        """Do the work on arrays; the diagnostics hold each step's own under its name.

        See `Step.apply`.
        """
        self._check_steps()
        diagnostics: dict[str, Any] = {}
        counting = axis is None
        for name, step in self._named():
            result = step.apply(axis, X)
            diagnostics[name] = result.diagnostics
            axis, X = None if counting else result.axis, result.intensity
        return StepResult(result.axis, result.intensity, MappingProxyType(diagnostics))

    def __call__(self, spectrum: Spectrum) -> Spectrum:
        """The spectrum after all steps, each appended to its history. See `Step.__call__`."""
        self._check_steps()
        for step in self.steps:
            spectrum = step(spectrum)
        return spectrum

    def _named(self) -> list[tuple[str, Step]]:
        counts: dict[str, int] = {}
        named = []
        for step in self.steps:
            counts[step.name] = count = counts.get(step.name, 0) + 1
            named.append((step.name if count == 1 else f"{step.name}-{count}", step))
        return named

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters, with the steps and theirs as ``<step>`` and ``<step>__<parameter>`` if `deep`."""
        params: dict[str, Any] = super().get_params(deep=False)
        if deep:
            for name, step in self._named():
                params[name] = step
                params.update({f"{name}__{key}": value for key, value in step.get_params(deep=False).items()})
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters named as `get_params` names them; ``<step>=other`` exchanges a step."""
        if "steps" in params:
            self.steps = params.pop("steps")
        names = [name for name, _ in self._named()]
        exchanged = [params.pop(name, step) for name, step in self._named()]
        if any(new is not old for new, old in zip(exchanged, self.steps, strict=True)):
            self.steps = exchanged
        nested: dict[str, dict[str, Any]] = {}
        for key, value in params.items():
            name, divider, parameter = key.partition("__")
            if divider and name in names:
                nested.setdefault(name, {})[parameter] = value
            elif key == "axis":
                self.axis = value
            else:
                raise ParameterError(
                    "parameter of the pipeline", key, f"one of {', '.join(self.get_params())}"
                )
        for name, values in nested.items():
            self.steps[names.index(name)].set_params(**values)
        return self

    def to_list(self) -> list[dict[str, Any]]:
        """Plain, JSON-ready form: name, parameters and version of each step."""
        return [ProcessingStep(step.name, step.parameters(), step.version()).to_dict() for step in self.steps]

    @classmethod
    def from_list(cls, data: Iterable[Mapping[str, Any]]) -> Self:
        """Inverse of `to_list`.

        Raises
        ------
        ParameterError
            As `from_history`.
        """
        return cls.from_history([ProcessingStep.from_dict(step) for step in data])

    @classmethod
    def from_history(cls, history: Iterable[ProcessingStep]) -> Self:
        """The pipeline that did what `history` records.

        Parameters
        ----------
        history : iterable of ProcessingStep
            As in `Spectrum.history`.

        Returns
        -------
        Pipeline
            On the spectrum the history began with, it gives the same values again.

        Warns
        -----
        UserWarning
            If a step was recorded by another version than would now do it, so that values may differ.

        Raises
        ------
        ParameterError
            If a step is none of `spectralid.preprocess` (such as what a reader did), or its parameters are
            not ones the step has.
        """
        steps = []
        for number, record in enumerate(history):
            kind = STEPS.get(record.name)
            if kind is None:
                raise ParameterError(
                    f"history[{number}]",
                    record.name,
                    "a step of spectralid.preprocess; leave out what was done when the file was read",
                )
            parameters = {name: value for name, value in record.parameters.items() if name != OUTCOME}
            unknown = set(parameters) - set(kind._get_param_names())
            if unknown:
                raise ParameterError(
                    f"history[{number}]", sorted(unknown), f"made of parameters of the step {record.name}"
                )
            step = kind(**parameters)
            step.validate()
            if record.version and record.version != kind.version():
                warnings.warn(
                    f"The step {record.name} was done by {record.version} and would now be done by "
                    f"{kind.version()}: values may differ.",
                    stacklevel=2,
                )
            steps.append(step)
        return cls(steps)
