"""Confidence records: calibration as a file of plain numbers that knows what it was made from.

A record is made by `spectralid.identify.confidence_fit.fit` and needs NumPy alone to be used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from spectralid import _bundled
from spectralid.errors import InputError, UnreadableFileError
from spectralid.spectrum import FloatArray

__all__ = ["SCAN_EVENTS", "ConfidenceRecord", "Model", "load_record", "standardised"]

SCHEMA: Final = "spectralid.confidence/1"
SCAN_EVENTS: Final = ("nothing", "insufficient", "unknown_beside")
"""What may be the matter with a scan as a whole: it holds nothing of the library; it does, and none of it was
found; it does, and something else too."""

# Standardised features are cut here: beyond what calibration saw, more is no better.
_CUT: Final = 4.0
_LARGEST_FILE: Final = 16 * 1024 * 1024


def standardised(values: FloatArray, centre: FloatArray, scale: FloatArray) -> FloatArray:
    """Features on their scale; what cannot be told (NaN) counts as usual."""
    return np.clip(np.nan_to_num((values - centre) / scale, nan=0.0), -_CUT, _CUT)


@dataclass(frozen=True, slots=True)
class Model:
    """Probability of one event: logistic regression on standardised features, then a calibrating curve.

    Attributes
    ----------
    names : tuple of str
        Features.
    centre, scale, weights : tuple of float
        Of each feature: what is subtracted, divided by, and its weight.
    intercept : float
        Of the logistic regression.
    slope, offset : float
        Calibrated log odds as a straight line over those of the regression.
    knots, chances : tuple of float
        An isotonic curve instead of the line: log odds of the regression, and the probability there, straight
        between them. Empty where there is none.
    scans, cases, events : int
        What it was fitted to: scans, cases (as many as they are worth where some weigh more than others), and
        in how many the event was true.
    quantile : float or None
        Conformal quantile: labels of at least 1 − `quantile` belong to the set (models of components only).
    rival : tuple of float or None
        Intercept and slope of the logistic curve over the cost of a rival that gives the probability that
        it is the true one if the component is not.
    """

    names: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    slope: float
    offset: float
    knots: tuple[float, ...]
    chances: tuple[float, ...]
    scans: int
    cases: int
    events: int
    quantile: float | None = None
    rival: tuple[float, float] | None = None

    def log_odds(self, given: Mapping[str, float]) -> float:
        """Log odds of the regression, before calibration.

        Raises
        ------
        InputError
            If a feature is missing.
        """
        missing = [name for name in self.names if name not in given]
        if missing:
            raise InputError(
                f"The analysis lacks what the confidence record goes by ({', '.join(missing)}); analyse the "
                "spectrum again with this version."
            )
        return float(self.log_odds_of(np.array([[given[name] for name in self.names]]))[0])

    def log_odds_of(self, values: FloatArray) -> FloatArray:
        """Log odds of the regression of many cases, features as columns in the order of `names`."""
        x = standardised(values, np.array(self.centre), np.array(self.scale))
        return np.asarray(x @ np.array(self.weights) + self.intercept)

    def probability(self, given: Mapping[str, float]) -> float:
        """Calibrated probability, 0 … 1."""
        return float(self.chance_at(np.array([self.log_odds(given)]))[0])

    def chance_at(self, log_odds: FloatArray) -> FloatArray:
        """Calibrated probability at log odds of the regression; no more certain than so many cases allow."""
        if self.knots:
            chance = np.interp(log_odds, self.knots, self.chances)
        else:
            chance = 1 / (1 + np.exp(-np.clip(self.slope * log_odds + self.offset, -50.0, 50.0)))
        least = 1 / (self.cases + 2)
        return np.asarray(np.clip(chance, least, 1 - least))

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form."""
        pairs = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {name: list(value) if isinstance(value, tuple) else value for name, value in pairs}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        known: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in data.items()}
        return cls(**known)


@dataclass(frozen=True)
class ConfidenceRecord:
    """What calibration found, with all that is needed to judge and repeat it.

    Attributes
    ----------
    version : str
        Version of the record.
    created : str
        Date, ISO 8601.
    method : str
        The engine's `METHOD` whose analyses it was fitted to; it holds for no other.
    made_from : mapping
        Command, seeds, hashes of the substances, counts, and the mixture of cases all probabilities assume.
    level : float
        Coverage the conformal sets promise, 0 … 1.
    name_at : float
        Probability from which a compound may be named.
    models : mapping of str to mapping of str to Model
        Event (``component``: it is right; or one of `SCAN_EVENTS`) and group
        (``technique/instrument model/one|several``, ``*`` for any).
    families : mapping of str to mapping of str to float
        Of each watched family: ``threshold``, the probability of a member from which it raises the alarm;
        ``negatives``, the scans without a member it was set on; ``false_alarm_upper``, the 95 % upper bound
        of the false-alarm rate.
    """

    version: str
    created: str
    method: str
    made_from: Mapping[str, Any]
    level: float
    name_at: float
    models: Mapping[str, Mapping[str, Model]]
    families: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 (hex) of the canonical JSON of the record."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def find(self, event: str, technique: str, instrument: str, size: str) -> tuple[Model, str] | None:
        """The model of the nearest group and the group's name; ``None`` if no group of the technique is held.

        The instrument is given up first, then whether one or several components were found.
        """
        groups = self.models.get(event, {})
        for model, count in ((instrument, size), ("*", size), (instrument, "*"), ("*", "*")):
            name = f"{technique}/{model}/{count}"
            if name in groups:
                return groups[name], name
        return None

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form."""
        return {
            "schema": SCHEMA,
            "version": self.version,
            "created": self.created,
            "method": self.method,
            "made_from": dict(self.made_from),
            "level": self.level,
            "name_at": self.name_at,
            "models": {e: {g: m.to_dict() for g, m in held.items()} for e, held in self.models.items()},
            "families": {name: dict(numbers) for name, numbers in self.families.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        known = {f.name: data[f.name] for f in fields(cls)}
        known["models"] = {
            event: {group: Model.from_dict(model) for group, model in held.items()}
            for event, held in known["models"].items()
        }
        return cls(**known)

    def write(self, path: str | Path) -> None:
        """Write the record with its SHA-256 as JSON."""
        document = {"sha256": self.sha256, "record": self.to_dict()}
        text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
        Path(path).write_text(text + "\n", encoding="utf-8")


def load_record(path: str | Path | None = None) -> ConfidenceRecord:
    """Read a record.

    Parameters
    ----------
    path : path-like, optional
        The file; the one that comes with spectralid if not given.

    Raises
    ------
    UnreadableFileError
        If it is none, was changed after it was made, or was made by a newer version.
    """
    file = Path(path) if path is not None else _bundled.path("libraries", "confidence.json")
    try:
        if file.stat().st_size > _LARGEST_FILE:
            raise UnreadableFileError("it is too large for a confidence record.", file=file.name)
        document = json.loads(file.read_text(encoding="utf-8"))
        stated, plain = document["sha256"], document["record"]
        if plain["schema"] != SCHEMA:
            raise UnreadableFileError(
                f"it is a confidence record of schema {plain['schema']!r}; this spectralid reads {SCHEMA!r}.",
                file=file.name,
            )
        record = ConfidenceRecord.from_dict(plain)
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        raise UnreadableFileError(f"{reason}; a confidence record was expected.", file=file.name) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UnreadableFileError("it is no confidence record of spectralid.", file=file.name) from None
    if record.sha256 != stated:
        raise UnreadableFileError(
            "the confidence record was changed after it was made (its SHA-256 does not hold).", file=file.name
        )
    return record
