"""What the joint fit takes for granted of an instrument, characterised or any; its file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final, Self

from spectralid.errors import InputError
from spectralid.identify.mismatch import Mismatch
from spectralid.identify.selection import Settings, ShiftPrior
from spectralid.spectrum import Technique
from spectralid.vouching import TrustedKeys, engine_problem, signature_of

__all__ = [
    "ANY_INSTRUMENT",
    "InstrumentModel",
    "instrument_model_for",
    "read_instrument_model",
    "write_instrument_model",
]

SCHEMA: Final = "spectralid.instrument-model/1"
ANY_INSTRUMENT: Final = "any instrument"
"""Name of the model for instruments nobody has characterised."""


@dataclass(frozen=True, slots=True)
class InstrumentModel:
    """Numbers the joint fit rests on.

    Attributes
    ----------
    name : str
        Instrument or class of instruments they hold for; part of every result's method.
    infrared : bool
        Whether they are for infrared or for Raman spectra.
    mismatch : Mismatch
        How far a reference may be from the same substance on such an instrument.
    prior : ShiftPrior
        What is known of the axis.
    settings : Settings
        How far the search goes.
    nothing_score : float
        Log odds of *nothing in the library* before the spectrum is looked at, overconfidence included.
    made_from : str
        Where the numbers come from, in one sentence.
    """

    name: str
    infrared: bool
    mismatch: Mismatch
    prior: ShiftPrior
    settings: Settings
    nothing_score: float
    made_from: str

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form."""
        return {"schema": SCHEMA} | asdict(self)

    @property
    def sha256(self) -> str:
        """Identity of its numbers and words."""
        return _identity(self.to_dict())

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read the plain form.

        Raises
        ------
        InputError
            If it is none.
        """
        if data.get("schema") != SCHEMA:
            raise InputError(
                f"This is no instrument model: its schema is {data.get('schema')!r}, not {SCHEMA!r}."
            )
        if problem := engine_problem(data.get("needs_engine")):
            raise InputError(f"The instrument model {data.get('name')!r} cannot be used: {problem}")
        try:
            return cls(
                name=str(data["name"]),
                infrared=bool(data["infrared"]),
                mismatch=Mismatch.from_dict(data["mismatch"]),
                prior=ShiftPrior(**{k: float(v) for k, v in data["prior"].items()}),
                settings=Settings(**data["settings"]),
                nothing_score=float(data["nothing_score"]),
                made_from=str(data["made_from"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"The instrument model {data.get('name')!r} is not complete: {error}."
            ) from error


# A key nobody knows may be one that a damage made of another.
_KEYS: Final = frozenset({*(field.name for field in fields(InstrumentModel)), "schema", "needs_engine"})


def read_instrument_model(path: str | Path, *, trusted: TrustedKeys | None = None) -> InstrumentModel:
    """Read an instrument model.

    Parameters
    ----------
    path : path
        A file as `write_instrument_model` writes it; one of an older version has no SHA-256.
    trusted : TrustedKeys, optional
        Keys that count: where there are any, one of them must have signed the file.

    Returns
    -------
    InstrumentModel
        The model.

    Raises
    ------
    InputError
        If the file cannot be read, is no such record, needs a newer spectralid, or was changed.
    NotVouchedError
        If keys are trusted and none of them has signed it.
    """
    try:
        raw = Path(path).read_bytes()
        data = json.loads(raw)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as the instrument model: {error}.") from error
    if trusted:
        trusted.vouch("instrument-model", raw, signature_of(Path(path)), file=str(path))
    if not isinstance(data, dict):
        raise InputError(f"{path} is no instrument model.")
    plain = {name: value for name, value in data.items() if name != "sha256"}
    try:
        model = InstrumentModel.from_dict(plain)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if not _KEYS.issuperset(plain) or data.get("sha256", _identity(plain)) != _identity(plain):
        raise InputError(
            f"{path}: the instrument model was changed after it was made (its SHA-256 does not hold); "
            "characterise the instrument again."
        )
    return model


def write_instrument_model(model: InstrumentModel, path: str | Path) -> None:
    """Write an instrument model as JSON.

    Parameters
    ----------
    model : InstrumentModel
        What to write.
    path : path
        Where to; a file already there is replaced.
    """
    plain = model.to_dict()
    text = json.dumps({**plain, "sha256": _identity(plain)}, indent=1, ensure_ascii=False)
    Path(path).write_text(text + "\n", encoding="utf-8")


def _identity(plain: Mapping[str, Any]) -> str:
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


_PRIORS: Final = {
    False: ShiftPrior(sd_cm1=2.0, wide_cm1=8.0, share=0.2),
    True: ShiftPrior(sd_cm1=1.0, wide_cm1=4.0, share=0.1),
}
# Set by hand on other people's spectra of the substances of one unit (`benchmarks/identification`, track
# *instruments*): wider than what replicates of a known unit show, because nothing is known of this one.
_MISMATCH: Final = Mismatch(
    gain=0.3, band=0.15, shift_cm1=1.5, width_cm2=10.0, resolution_cm2=10.0, shape=0.05, floor=0.015
)


def instrument_model_for(technique: Technique) -> InstrumentModel:
    """The numbers for an instrument nobody has characterised."""
    return InstrumentModel(
        name=ANY_INSTRUMENT,
        infrared=technique.is_infrared,
        mismatch=_MISMATCH,
        prior=_PRIORS[technique.is_infrared],
        settings=Settings(),
        nothing_score=0.0,
        made_from="set by hand, wide, for instruments of which no replicate spectra are known",
    )
