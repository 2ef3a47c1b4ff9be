"""The measured spectrum as an immutable value, and the facts that travel with it."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from spectralid.errors import InvalidSpectrumError, ParameterError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "Acquisition",
    "FloatArray",
    "IntensityUnit",
    "ProcessingStep",
    "Spectrum",
    "Technique",
]

FloatArray = npt.NDArray[np.float64]
"""Array of double-precision numbers, as every function here takes and returns them."""

MINIMUM_POINTS: Final = 2
# In cm⁻¹: far beyond any light, and far from where distances on the axis could not be computed with.
_FARTHEST: Final = 1e15


class Technique(StrEnum):
    """How the spectrum was measured.

    ``FTIR`` stands for infrared whose sampling (ATR or transmission) the source does not state, ``UNKNOWN``
    for a source that states no technique at all; both are honest gaps to be filled by whoever knows.
    """

    RAMAN = "raman"
    FTIR_ATR = "ftir_atr"
    FTIR_TRANSMISSION = "ftir_transmission"
    FTIR = "ftir"
    UNKNOWN = "unknown"

    @property
    def is_infrared(self) -> bool:
        """True for every infrared technique."""
        return self in (Technique.FTIR, Technique.FTIR_ATR, Technique.FTIR_TRANSMISSION)

    def is_comparable(self, other: Technique) -> bool:
        """Whether spectra of the two techniques may be matched against each other."""
        if Technique.UNKNOWN in (self, other):
            return False
        return self is other or (self.is_infrared and other.is_infrared)

    @classmethod
    def parse(cls, text: str) -> Technique:
        """Technique named by `text`.

        Raises
        ------
        ParameterError
            If `text` names none.
        """
        try:
            return cls(text.strip().lower().replace("-", "_"))
        except ValueError:
            raise ParameterError("technique", text, "one of " + ", ".join(t.value for t in cls)) from None


class IntensityUnit(StrEnum):
    """What the ordinate is.

    `TRANSMITTANCE` and `REFLECTANCE` are ratios (1 = all light), `PERCENT_TRANSMITTANCE` is 100 times that.
    """

    COUNTS = "counts"
    ARBITRARY = "arbitrary"
    ABSORBANCE = "absorbance"
    TRANSMITTANCE = "transmittance"
    PERCENT_TRANSMITTANCE = "percent_transmittance"
    REFLECTANCE = "reflectance"
    KUBELKA_MUNK = "kubelka_munk"
    SINGLE_BEAM = "single_beam"

    @classmethod
    def parse(cls, text: str) -> IntensityUnit:
        """Unit named by `text`.

        Raises
        ------
        ParameterError
            If `text` names none.
        """
        try:
            return cls(text.strip().lower())
        except ValueError:
            raise ParameterError("unit", text, "one of " + ", ".join(u.value for u in cls)) from None


def _frozen(mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(mapping))


@dataclass(frozen=True, slots=True)
class Acquisition:
    """What is known about how a spectrum was taken; ``None`` or empty where the source does not say.

    Attributes
    ----------
    instrument : str
        Maker and model.
    serial : str
        Serial number of the unit.
    laser_nm : float or None
        Excitation wavelength in nm (Raman).
    power_mw : float or None
        Laser power at the sample in mW.
    integration_ms : float or None
        Integration time of one frame in ms.
    averages : int or None
        Frames (Raman) or interferograms (FTIR) averaged.
    resolution_cm1 : float or None
        Spectral resolution in cm⁻¹.
    time : str
        Time of measurement, ISO 8601 where it could be parsed, else as the source wrote it.
    operator : str
        Who measured, as the source wrote it.
    flags : frozenset of str
        Validity flags (``"saturated"``, ``"axis_reordered"``, ``"instrument_not_verified"`` …).
    metadata : mapping of str to str
        The source's own header fields, untouched.
    """

    instrument: str = ""
    serial: str = ""
    laser_nm: float | None = None
    power_mw: float | None = None
    integration_ms: float | None = None
    averages: int | None = None
    resolution_cm1: float | None = None
    time: str = ""
    operator: str = ""
    flags: frozenset[str] = frozenset()
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "flags", frozenset(self.flags))
        object.__setattr__(self, "metadata", _frozen(self.metadata))

    def __reduce__(self) -> tuple[Any, ...]:
        # A mappingproxy does not pickle; spectra travel between worker processes.
        return _rebuild_acquisition, (self.to_dict(),)

    def with_flags(self, *flags: str) -> Acquisition:
        """The same facts with `flags` added."""
        return replace(self, flags=self.flags | set(flags))

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form; what is not known is left out."""
        out: dict[str, Any] = {}
        for name in ("instrument", "serial", "laser_nm", "power_mw", "integration_ms", "averages",
                     "resolution_cm1", "time", "operator"):  # fmt: skip
            value = getattr(self, name)
            if value not in ("", None):
                out[name] = value
        if self.flags:
            out["flags"] = sorted(self.flags)
        if self.metadata:
            out["metadata"] = dict(self.metadata)
        return out

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Acquisition:
        """Inverse of `to_dict`; unknown keys are kept as metadata rather than lost."""
        known = {k: v for k, v in data.items() if k in cls.__dataclass_fields__}
        metadata = dict(known.pop("metadata", {}))
        metadata.update({k: str(v) for k, v in data.items() if k not in cls.__dataclass_fields__})
        known["flags"] = frozenset(known.get("flags", ()))
        return cls(**known, metadata=metadata)


def _rebuild_acquisition(data: dict[str, Any]) -> Acquisition:
    return Acquisition.from_dict(data)


@dataclass(frozen=True, slots=True)
class ProcessingStep:
    """One thing that was done to a spectrum: name, parameters and version, enough to do it again.

    Attributes
    ----------
    name : str
        Name of the step, as `spectralid.preprocess` knows it.
    parameters : mapping
        JSON-ready arguments.
    version : str
        Version of the code that did it (spectralid's, and the package's where one did the work).
    """

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    version: str = ""

    def __post_init__(self) -> None:
        # A JSON round trip proves now, not at export, that the parameters can be stored and replayed.
        object.__setattr__(self, "parameters", _frozen(json.loads(json.dumps(dict(self.parameters)))))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name, dict(self.parameters), self.version)

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form."""
        return {"name": self.name, "parameters": dict(self.parameters), "version": self.version}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ProcessingStep:
        """Inverse of `to_dict`."""
        return cls(str(data["name"]), data.get("parameters", {}), str(data.get("version", "")))


def _readonly(values: npt.ArrayLike, what: str) -> FloatArray:
    if np.iscomplexobj(values):
        raise InvalidSpectrumError(
            f"The {what} holds complex numbers; give real ones (of a Fourier transform its magnitude, or its "
            "real part after phase correction)."
        )
    try:
        array = np.array(values, dtype=np.float64, order="C", copy=True)
    except (TypeError, ValueError):
        raise InvalidSpectrumError(f"The {what} holds something that is not a real number.") from None
    if array.ndim != 1:
        raise InvalidSpectrumError(
            f"The {what} must be one-dimensional; got an array of shape {array.shape}. "
            "Give one spectrum at a time."
        )
    array.flags.writeable = False
    return array


def _check_axis(axis: FloatArray) -> None:
    if axis.size < MINIMUM_POINTS:
        raise InvalidSpectrumError(
            f"A spectrum needs at least {MINIMUM_POINTS} points; this one has {axis.size}."
        )
    bad = np.flatnonzero(~np.isfinite(axis))
    if bad.size:
        raise InvalidSpectrumError(
            f"The axis is not finite at point {bad[0]} (of {axis.size}); check the source's axis values."
        )
    farthest = float(np.max(np.abs(axis)))
    if farthest > _FARTHEST:
        raise InvalidSpectrumError(
            f"The axis reaches {farthest:g} cm⁻¹, where no spectrum lies; check the source's axis values."
        )


def _check_intensity(intensity: FloatArray, axis: FloatArray, what: str = "intensity") -> None:
    if intensity.size != axis.size:
        raise InvalidSpectrumError(
            f"Axis and {what} differ in length: {axis.size} against {intensity.size} points."
        )
    infinite = np.flatnonzero(np.isinf(intensity))
    if infinite.size:
        raise InvalidSpectrumError(
            f"The {what} is infinite at {axis[infinite[0]]:g} cm⁻¹ (point {infinite[0]}); "
            "mark missing points as NaN."
        )
    if not np.isfinite(intensity).any():
        raise InvalidSpectrumError(f"The {what} holds no finite value: every point is missing (NaN).")


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """A vibrational spectrum: an immutable value.

    Parameters
    ----------
    axis : array_like of float, shape (n_points,)
        Raman shift or wavenumber in cm⁻¹, finite and strictly ascending.
    intensity : array_like of float, shape (n_points,)
        Ordinate in `unit`. NaN marks a missing point; infinities are refused.
    technique : Technique
        How it was measured.
    unit : IntensityUnit
        What the ordinate is.
    sd : array_like of float, shape (n_points,), optional
        Standard deviation of each point, in `unit`, where it is known.
    acquisition : Acquisition
        Facts about the measurement.
    history : sequence of ProcessingStep
        What has been done to it since it was measured, oldest first.
    name : str
        What the source calls it.
    source : str
        Where it came from (file, instrument).

    Raises
    ------
    InvalidSpectrumError
        If the axis is not strictly ascending, lengths differ, or values are infinite or complex.
    ParameterError
        If technique or unit is unknown.

    Notes
    -----
    The identity of a spectrum, `sha256`, covers technique, unit, axis, intensity and standard deviation: what
    was measured. Name, source and acquisition facts may be corrected without it becoming another spectrum.
    Two spectra are equal when their identities are.

    Examples
    --------
    >>> from spectralid import Spectrum
    >>> spectrum = Spectrum([400.0, 500.0, 600.0], [1.0, 3.0, 1.0], technique="raman", name="three points")
    >>> spectrum
    <Spectrum 'three points' raman 3 points, 400 to 600 cm⁻¹, arbitrary>
    >>> spectrum.intensity
    array([1., 3., 1.])
    >>> spectrum.sha256[:12]
    'd0e933fded94'
    """

    axis: FloatArray
    intensity: FloatArray
    technique: Technique = Technique.UNKNOWN
    unit: IntensityUnit = IntensityUnit.ARBITRARY
    sd: FloatArray | None = None
    acquisition: Acquisition = field(default_factory=Acquisition)
    history: Sequence[ProcessingStep] = ()
    name: str = ""
    source: str = ""
    _sha256: str = field(default="", init=False, repr=False)

    def __post_init__(self) -> None:
        axis = _readonly(self.axis, "axis")
        intensity = _readonly(self.intensity, "intensity")
        _check_axis(axis)
        falling = np.flatnonzero(np.diff(axis) <= 0)
        if falling.size:
            i = int(falling[0])
            raise InvalidSpectrumError(
                f"The axis must ascend strictly; point {i + 1} ({axis[i + 1]:g} cm⁻¹) does not lie above "
                f"point {i} ({axis[i]:g} cm⁻¹). Use Spectrum.from_points for unsorted data."
            )
        _check_intensity(intensity, axis)
        object.__setattr__(self, "axis", axis)
        object.__setattr__(self, "intensity", intensity)
        if self.sd is not None:
            sd = _readonly(self.sd, "standard deviation")
            _check_intensity(sd, axis, "standard deviation")
            if np.any(sd < 0):
                raise InvalidSpectrumError("The standard deviation is negative at some points.")
            object.__setattr__(self, "sd", sd)
        object.__setattr__(self, "technique", Technique.parse(str(self.technique)))
        object.__setattr__(self, "unit", IntensityUnit.parse(str(self.unit)))
        object.__setattr__(self, "history", tuple(self.history))

    @classmethod
    def from_points(
        cls,
        axis: npt.ArrayLike,
        intensity: npt.ArrayLike,
        **facts: Any,
    ) -> Spectrum:
        """Make a spectrum from points in any order.

        A descending axis is turned round. Points out of order (overlapping step-scan segments) are sorted and
        points that share an axis value are averaged; both are recorded in the history and flagged
        ``"axis_reordered"`` or ``"duplicates_merged"``, never done silently.

        Parameters
        ----------
        axis, intensity : array_like of float, shape (n_points,)
            As for `Spectrum`, in any order.
        **facts
            The other arguments of `Spectrum`.

        Returns
        -------
        Spectrum

        Raises
        ------
        InvalidSpectrumError
            If the points do not make a spectrum.
        """
        x, y = _readonly(axis, "axis"), _readonly(intensity, "intensity")
        _check_axis(x)
        _check_intensity(y, x)
        sd = facts.pop("sd", None)
        z = None if sd is None else _readonly(sd, "standard deviation")
        if z is not None:
            _check_intensity(z, x, "standard deviation")
        steps = np.diff(x)
        if np.all(steps > 0):
            return cls(x, y, sd=z, **facts)
        if np.all(steps < 0):
            return cls(x[::-1], y[::-1], sd=None if z is None else z[::-1], **facts)

        flags: list[str] = []
        reordered = not (np.all(steps >= 0) or np.all(steps <= 0))
        if reordered:
            flags.append("axis_reordered")
        unique, first = np.unique(x, return_inverse=True)
        if unique.size < x.size:
            flags.append("duplicates_merged")
        known = np.isfinite(y)
        weight = np.bincount(first[known], minlength=unique.size)
        total = np.bincount(first[known], weights=y[known], minlength=unique.size)
        merged = np.full(unique.size, np.nan)
        np.divide(total, weight, out=merged, where=weight > 0)
        merged_sd = None
        if z is not None:
            # Independent readings of one position: the mean's variance is the sum of variances over n².
            variance = np.bincount(first[known], weights=z[known] ** 2, minlength=unique.size)
            merged_sd = np.full(unique.size, np.nan)
            np.divide(np.sqrt(variance), weight, out=merged_sd, where=weight > 0)
        if unique.size < MINIMUM_POINTS:
            raise InvalidSpectrumError(f"Every point lies at {unique[0]:g} cm⁻¹: this is not a spectrum.")
        step = ProcessingStep(
            "merge_axis", {"points": int(x.size), "distinct": int(unique.size), "reordered": reordered}
        )
        acquisition = facts.pop("acquisition", Acquisition()).with_flags(*flags)
        history = (*facts.pop("history", ()), step)
        return cls(unique, merged, sd=merged_sd, acquisition=acquisition, history=history, **facts)

    @property
    def n_points(self) -> int:
        """Number of points."""
        return int(self.axis.size)

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest axis value in cm⁻¹."""
        return float(self.axis[0]), float(self.axis[-1])

    @property
    def missing(self) -> npt.NDArray[np.bool_]:
        """True where a point is missing (NaN), shape (n_points,)."""
        return np.isnan(self.intensity)

    @property
    def sha256(self) -> str:
        """Identity: SHA-256 (hex) of the canonical bytes, see `canonical_bytes`."""
        if not self._sha256:
            object.__setattr__(self, "_sha256", hashlib.sha256(self.canonical_bytes()).hexdigest())
        return self._sha256

    def canonical_bytes(self) -> bytes:
        """The bytes the identity is taken of.

        ``spectralid/1``, technique and unit, each ended by a newline; the number of points and whether a
        standard deviation follows, as two little-endian u64; then axis, intensity (and standard deviation) as
        little-endian float64 with one bit pattern for NaN and for zero.
        """
        head = f"spectralid/1\n{self.technique.value}\n{self.unit.value}\n".encode("ascii")
        arrays = [self.axis, self.intensity] + ([] if self.sd is None else [self.sd])
        body = [struct.pack("<QQ", self.n_points, self.sd is not None)]
        for array in arrays:
            # Adding 0.0 turns -0.0 into 0.0; the assignment gives every NaN the same payload.
            canonical = array + 0.0
            canonical[np.isnan(canonical)] = math.nan
            body.append(canonical.astype("<f8").tobytes())
        return head + b"".join(body)

    def __reduce__(self) -> tuple[Any, ...]:
        # Through the constructor, so that the arrays are read-only on the other side of a pickle too.
        names = [n for n in self.__dataclass_fields__ if n != "_sha256"]
        return type(self), tuple(getattr(self, n) for n in names)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Spectrum):
            return NotImplemented
        return self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)

    def __len__(self) -> int:
        return self.n_points

    def __repr__(self) -> str:
        low, high = self.range
        label = f" {self.name!r}" if self.name else ""
        return (
            f"<Spectrum{label} {self.technique.value} {self.n_points} points, "
            f"{low:.5g} to {high:.5g} cm⁻¹, {self.unit.value}>"
        )

    def replace(self, **changes: Any) -> Spectrum:
        """A copy with some facts changed (name, technique, acquisition …); the history is kept as it is.

        To change the values themselves use `processed`, which records what was done.
        """
        return replace(self, **changes)

    def processed(
        self,
        step: ProcessingStep,
        *,
        axis: npt.ArrayLike | None = None,
        intensity: npt.ArrayLike | None = None,
        sd: npt.ArrayLike | None = None,
        unit: IntensityUnit | None = None,
        flags: Sequence[str] = (),
    ) -> Spectrum:
        """The spectrum after `step`, with the step appended to its history.

        Parameters
        ----------
        step : ProcessingStep
            What was done.
        axis, intensity, sd : array_like, optional
            New values; what is not given stays. The standard deviation is dropped when the intensity changes
            and no new one is given, because the old one would no longer be true.
        unit : IntensityUnit, optional
            New ordinate.
        flags : sequence of str
            Validity flags to add.
        """
        changes: dict[str, Any] = {"history": (*self.history, step)}
        if axis is not None:
            changes["axis"] = axis
        if intensity is not None:
            changes["intensity"] = intensity
        if sd is not None or axis is not None or intensity is not None:
            changes["sd"] = sd
        if unit is not None:
            changes["unit"] = unit
        if flags:
            changes["acquisition"] = self.acquisition.with_flags(*flags)
        return self.replace(**changes)

    def plot(self, *others: Spectrum, title: str = "") -> Figure:
        """Figure of the spectrum, with others over it.

        Parameters
        ----------
        *others : Spectrum
            At most three, of the same ordinate.
        title : str
            Heading; the name of the spectrum if not given.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ParameterError
            If there are too many, or they do not share an ordinate.
        """
        # An import upwards (.importlinter), so that a spectrum can be looked at wherever there is one.
        from spectralid.plot import spectrum_figure

        return spectrum_figure((self, *others), title=title)

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form with values; missing points become ``None``."""

        def plain(array: FloatArray) -> list[float | None]:
            return [None if math.isnan(v) else v for v in array.tolist()]

        out: dict[str, Any] = {
            "sha256": self.sha256,
            "name": self.name,
            "source": self.source,
            "technique": self.technique.value,
            "unit": self.unit.value,
            "axis": self.axis.tolist(),
            "intensity": plain(self.intensity),
            "acquisition": self.acquisition.to_dict(),
            "history": [step.to_dict() for step in self.history],
        }
        if self.sd is not None:
            out["sd"] = plain(self.sd)
        return out

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Spectrum:
        """Inverse of `to_dict`.

        Raises
        ------
        InvalidSpectrumError
            If the values do not make a spectrum or do not have the recorded identity.
        """

        def array(values: Sequence[float | None]) -> FloatArray:
            return np.array([math.nan if v is None else v for v in values], dtype=np.float64)

        spectrum = cls(
            axis=array(data["axis"]),
            intensity=array(data["intensity"]),
            technique=Technique(data.get("technique", "unknown")),
            unit=IntensityUnit(data.get("unit", "arbitrary")),
            sd=array(data["sd"]) if data.get("sd") is not None else None,
            acquisition=Acquisition.from_dict(data.get("acquisition", {})),
            history=[ProcessingStep.from_dict(s) for s in data.get("history", ())],
            name=str(data.get("name", "")),
            source=str(data.get("source", "")),
        )
        recorded = data.get("sha256")
        if recorded and recorded != spectrum.sha256:
            raise InvalidSpectrumError(
                f"The spectrum {spectrum.name!r} does not have the identity recorded for it "
                f"({str(recorded)[:12]}… recorded, {spectrum.sha256[:12]}… found); its values were changed."
            )
        return spectrum
