"""What the joint fit takes for granted of an instrument, characterised or any; its file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from spectralid.errors import InputError
from spectralid.identify.mismatch import Mismatch
from spectralid.identify.selection import Settings, ShiftPrior
from spectralid.spectrum import Technique

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


def read_instrument_model(path: str | Path) -> InstrumentModel:
    """Read an instrument model.

    Parameters
    ----------
    path : path
        A file as `write_instrument_model` writes it.

    Returns
    -------
    InstrumentModel
        The model.

    Raises
    ------
    InputError
        If the file cannot be read or is no such record.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as the instrument model: {error}.") from error
    if not isinstance(data, dict):
        raise InputError(f"{path} is no instrument model.")
    return InstrumentModel.from_dict(data)


def write_instrument_model(model: InstrumentModel, path: str | Path) -> None:
    """Write an instrument model as JSON.

    Parameters
    ----------
    model : InstrumentModel
        What to write.
    path : path
        Where to; a file already there is replaced.
    """
    Path(path).write_text(json.dumps(model.to_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


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
