"""Baselines: the slow background under the bands, found and subtracted."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal

import numpy as np
import numpy.typing as npt

from spectralid.errors import InvalidSpectrumError, ParameterError
from spectralid.preprocess._base import Step, StepResult
from spectralid.preprocess._constraints import Choice, Constraint, Number
from spectralid.preprocess._points import by_missing, mean_spacing
from spectralid.preprocess._whittaker import stiffness
from spectralid.spectrum import FloatArray, Spectrum

__all__ = ["Baseline", "baseline_of"]

MethodName = Literal[
    "airpls", "arpls", "asls", "drpls", "iarpls", "imodpoly", "modpoly", "mor", "rubberband", "snip"
]

# At points 3 cm⁻¹ apart this is lam = 1e5, which arPLS was published with for spectra of about 1,000 points.
DEFAULT_SCALE_CM1: Final = 335.0
DEFAULT_HALF_WINDOW_CM1: Final = 40.0

_LEAST_POINTS = 8
_WIDEST_SNIP: Final = 2000


@dataclass(frozen=True, slots=True)
class _Method:
    """What a method of pybaselines takes.

    Attributes
    ----------
    defaults : mapping
        Arguments of ours it takes by the same name, with their default.
    fixed : mapping
        Arguments it is always given.
    stiff : bool
        Whether it takes ``lam``.
    window : str
        Its name for a half window in points; empty if it takes none.
    """

    defaults: Mapping[str, Any]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    stiff: bool = False
    window: str = ""

    @property
    def takes(self) -> set[str]:
        """Our parameters that mean something to it."""
        extra = {"lam", "scale_cm1"} if self.stiff else {"half_window_cm1"} if self.window else set()
        return {*self.defaults, *extra}


_ITERATIVE: Final = {"max_iter": 50, "tol": 1e-3}
_POLYNOMIAL: Final = {"poly_order": 5, "max_iter": 250, "tol": 1e-3}

_METHODS: Final[Mapping[str, _Method]] = MappingProxyType(
    {
        "airpls": _Method(_ITERATIVE, stiff=True),
        "arpls": _Method(_ITERATIVE, stiff=True),
        "asls": _Method({"p": 0.01, **_ITERATIVE}, stiff=True),
        "drpls": _Method({"eta": 0.5, **_ITERATIVE}, stiff=True),
        "iarpls": _Method(_ITERATIVE, stiff=True),
        "imodpoly": _Method(_POLYNOMIAL),
        "modpoly": _Method(_POLYNOMIAL),
        "mor": _Method({}, window="half_window"),
        "rubberband": _Method({}),
        "snip": _Method({}, fixed={"decreasing": True}, window="max_half_window"),
    }
)


class Baseline(Step):
    """Each spectrum without its baseline.

    Parameters
    ----------
    method : str
        ``"arpls"``, ``"airpls"``, ``"asls"``, ``"drpls"``, ``"iarpls"`` (penalised least squares with
        reweighting), ``"modpoly"``, ``"imodpoly"`` (iterated polynomials), ``"snip"`` (iterated clipping),
        ``"mor"`` (morphological opening) or ``"rubberband"`` (lower convex hull), as in pybaselines.
    lam : float, optional
        Stiffness of penalised least squares as in the literature, per squared point. Left out, it is set from
        `scale_cm1`.
    scale_cm1 : float, optional
        Stiffness in cm⁻¹: what has half this period or less is band, not baseline, however finely the
        spectrum is sampled. ``lam = (scale_cm1 / (2π · spacing))⁴``; default 335, which is ``lam = 1e5`` for
        points 3 cm⁻¹ apart.
    p : float, optional
        Weight of points above the baseline (``"asls"``), 0 to 0.5; default 0.01.
    eta : float, optional
        How much the weights soften the stiffness (``"drpls"``), 0 to 1; default 0.5.
    poly_order : int, optional
        Order of the polynomial (``"modpoly"``, ``"imodpoly"``); default 5.
    half_window_cm1 : float, optional
        Half the width of the widest band at its foot (``"snip"``, ``"mor"``) in cm⁻¹; default 40.
    max_iter : int, optional
        Most iterations; default 50, for polynomials 250.
    tol : float, optional
        Relative change that ends the iterations; default 1e-3.
    axis : array_like of float, shape (n_points,), optional
        Axis in cm⁻¹ for `transform`. A spectrum brings its own.

    Notes
    -----
    Missing points inside the measured range are bridged by a straight line while the baseline is found, and
    stay missing. arPLS, drPLS and IarPLS judge by the noise below the baseline and go wrong on computed
    spectra, which have none; ``"airpls"``, ``"asls"`` and ``"snip"`` do not.

    Diagnostics: ``"baseline"`` (n_spectra, n_points), NaN outside the measured range; where the method
    iterates, ``"iterations"`` and ``"converged"`` per spectrum; where it takes it, ``"lam"``.

    References
    ----------
    S.-J. Baek et al., Analyst 140 (2015) 250 (arPLS); Z.-M. Zhang et al., Analyst 135 (2010) 1138 (airPLS);
    P. H. C. Eilers, H. F. M. Boelens, Leiden University Medical Centre (2005) (AsLS); D. Xu et al., Appl.
    Opt. 58 (2019) 3913 (drPLS); J. Ye et al., Appl. Opt. 59 (2020) 10933 (IarPLS); C. A. Lieber,
    A. Mahadevan-Jansen, Appl. Spectrosc. 57 (2003) 1363 (ModPoly); J. Zhao et al., Appl. Spectrosc. 61 (2007)
    1225 (IModPoly); C. G. Ryan et al., Nucl. Instrum. Methods B 34 (1988) 396 (SNIP); R. Perez-Pueyo et al.,
    Appl. Spectrosc. 64 (2010) 595 (morphological).

    Examples
    --------
    >>> import numpy as np
    >>> from spectralid import Spectrum
    >>> from spectralid.preprocess import Baseline
    >>> axis = np.arange(400.0, 1801.0, 2.0)
    >>> band = 100 * np.exp(-(((axis - 1001.0) / 8) ** 2))
    >>> raw = Spectrum(axis, band + 0.05 * axis, technique="raman")
    >>> flat = Baseline("arpls")(raw)
    >>> bool(np.abs(flat.intensity[axis > 1200]).max() < 0.5)
    True
    """

    name = "baseline"
    constraints: ClassVar[Mapping[str, Constraint]] = {
        "method": Choice(tuple(sorted(_METHODS))),
        "lam": Number(0, open_low=True, optional=True),
        "scale_cm1": Number(0, open_low=True, optional=True),
        "p": Number(0, 0.5, open_low=True, open_high=True, optional=True),
        "eta": Number(0, 1, optional=True),
        "poly_order": Number(0, 15, integer=True, optional=True),
        "half_window_cm1": Number(0, open_low=True, optional=True),
        "max_iter": Number(1, integer=True, optional=True),
        "tol": Number(0, open_low=True, optional=True),
    }

    def __init__(
        self,
        method: MethodName = "arpls",
        *,
        lam: float | None = None,
        scale_cm1: float | None = None,
        p: float | None = None,
        eta: float | None = None,
        poly_order: int | None = None,
        half_window_cm1: float | None = None,
        max_iter: int | None = None,
        tol: float | None = None,
        axis: npt.ArrayLike | None = None,
    ) -> None:
        self.method: MethodName = method
        self.lam = lam
        self.scale_cm1 = scale_cm1
        self.p = p
        self.eta = eta
        self.poly_order = poly_order
        self.half_window_cm1 = half_window_cm1
        self.max_iter = max_iter
        self.tol = tol
        self.axis = axis

    def _validate_together(self) -> None:
        takes = _METHODS[self.method].takes
        for name in self.constraints:
            value = getattr(self, name)
            if name != "method" and value is not None and name not in takes:
                raise ParameterError(
                    name,
                    value,
                    f"left out: the baseline {self.method} takes {', '.join(sorted(takes)) or 'nothing'}",
                )
        if self.lam is not None and self.scale_cm1 is not None:
            raise ParameterError("scale_cm1", self.scale_cm1, "left out where lam is given")

    def _needs_axis(self) -> bool:
        method = _METHODS[self.method]
        return bool(method.window) or (method.stiff and self.lam is None)

    @classmethod
    def version(cls) -> str:
        """Version of spectralid and of pybaselines, which does the work."""
        import pybaselines

        return f"{super().version()}, pybaselines {pybaselines.__version__}"

    def baseline_of(self, spectrum: Spectrum) -> FloatArray:
        """The baseline that the step would subtract, for showing it.

        Parameters
        ----------
        spectrum : Spectrum

        Returns
        -------
        ndarray of float, shape (n_points,)
            In the spectrum's unit; NaN outside the range of its measured points.
        """
        result = self.apply(spectrum.axis, spectrum.intensity[np.newaxis])
        baseline: FloatArray = result.diagnostics["baseline"][0]
        return baseline

    def _arguments(self, axis: FloatArray) -> dict[str, Any]:
        """What pybaselines is called with."""
        method = _METHODS[self.method]
        arguments = dict(method.fixed)
        for name, default in method.defaults.items():
            given = getattr(self, name)
            arguments[name] = default if given is None else given
        spacing = mean_spacing(axis)
        if method.stiff:
            scale = DEFAULT_SCALE_CM1 if self.scale_cm1 is None else self.scale_cm1
            arguments["lam"] = stiffness(scale, spacing, 2) if self.lam is None else self.lam
        if method.window:
            width = DEFAULT_HALF_WINDOW_CM1 if self.half_window_cm1 is None else self.half_window_cm1
            # A window wider than the spectrum is the whole spectrum.
            window = int(min(max(round(width / spacing), 1), (axis.size - 1) // 2))
            if self.method == "snip" and window > _WIDEST_SNIP:
                # It goes over the whole spectrum once for every point of the window.
                raise InvalidSpectrumError(
                    f"The {axis.size} points lie {spacing:.2g} cm⁻¹ apart, {window:,} of them under half a "
                    f"band; snip takes at most {_WIDEST_SNIP:,}. Resample the spectrum first."
                )
            arguments[method.window] = window
        return arguments

    def _map(self, axis: FloatArray, X: FloatArray) -> StepResult:
        arguments = self._arguments(axis)
        baseline = np.full(X.shape, np.nan)
        histories: list[npt.ArrayLike] = [()] * X.shape[0]
        for rows, measured in by_missing(X):
            points = np.flatnonzero(measured)
            if points.size < _LEAST_POINTS:
                raise InvalidSpectrumError(
                    f"Spectrum {rows[0]} has {points.size} measured points; a baseline needs {_LEAST_POINTS}."
                )
            covered = slice(points[0], points[-1] + 1)
            filled = [np.interp(axis[covered], axis[points], X[row, points]) for row in rows]
            for row, (found, history) in zip(rows, self._fit(axis[covered], filled, arguments), strict=True):
                baseline[row, covered] = found
                histories[row] = history
        diagnostics: dict[str, Any] = {"baseline": baseline}
        if "lam" in arguments:
            diagnostics["lam"] = arguments["lam"]
        if "tol" in arguments:
            diagnostics["iterations"] = np.array([np.size(h) for h in histories])
            diagnostics["converged"] = np.array(
                [np.size(h) > 0 and bool(np.ravel(h)[-1] < arguments["tol"]) for h in histories]
            )
        return StepResult(axis, X - baseline, diagnostics)

    def _fit(
        self, axis: FloatArray, spectra: list[FloatArray], arguments: Mapping[str, Any]
    ) -> list[tuple[FloatArray, npt.ArrayLike]]:
        """Baseline and tolerance history of each spectrum."""
        import pybaselines
        from pybaselines.utils import ParameterWarning

        # A fresh object for every call; within one it only shares what depends on the axis.
        method = getattr(pybaselines.Baseline(axis, check_finite=False, assume_sorted=True), self.method)
        found = []
        # What the warnings say (no convergence, all points above the baseline) is in the diagnostics.
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", ParameterWarning)
            for spectrum in spectra:
                try:
                    baseline, details = method(spectrum, **arguments)
                except (ValueError, RuntimeError, np.linalg.LinAlgError) as error:
                    # The hull of a straight line is a page of text; its first line says it.
                    reason = str(error).partition("\n")[0]
                    raise InvalidSpectrumError(
                        f"The baseline {self.method} cannot be found on this spectrum of {axis.size} points "
                        f"({reason}); try other parameters or another method."
                    ) from None
                if not np.isfinite(baseline).all():
                    raise InvalidSpectrumError(
                        f"The baseline {self.method} does not end in finite values on this spectrum; "
                        "try other parameters or another method."
                    )
                found.append((baseline, details.get("tol_history", ())))
        return found

    def _outcome(self, result: StepResult) -> dict[str, Any]:
        told = {
            name: result.diagnostics[name][0].item()
            for name in ("iterations", "converged")
            if name in result.diagnostics
        }
        return {**told, "lam": result.diagnostics["lam"]} if "lam" in result.diagnostics else told


def baseline_of(spectrum: Spectrum) -> FloatArray:
    """The baseline (arPLS as `Baseline` does it by default) under a spectrum, for showing it.

    Parameters
    ----------
    spectrum : Spectrum
        In any unit.

    Returns
    -------
    ndarray of float, shape (n_points,)
        In the spectrum's unit; NaN outside the range of its measured points.
    """
    return Baseline().baseline_of(spectrum)
