"""A recorded result, computed again from its packet and compared with what the packet says."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from spectralid import __version__
from spectralid.casework.compose import concluded, finite, spectrum_of
from spectralid.casework.packet import Packet, PacketError
from spectralid.errors import InputError, ParameterError
from spectralid.verdict import Circumstances, decide, default_policy

if TYPE_CHECKING:
    from spectralid.identify import Identifier
    from spectralid.verdict import Policy

__all__ = ["TOLERANCE", "Deviation", "Replay", "replay"]

TOLERANCE: Final = 1e-3
"""Difference of a share, probability or score that other versions of NumPy and SciPy, and other processors,
make at most (`docs/reproducibility.md`); in cm⁻¹ for positions, relative for the ratio of signal to noise."""

Status = Literal["same", "different", "not_compared"]

# What a verdict decides; its sentences also spell out numbers, which are compared as numbers.
_DECISIVE: Final = (
    "presumptive", "kind", "alarm", "headline", "escalate", "named", "language", "codes", "escalation",
    "cautions",
)  # fmt: skip
# What is compared of a result.
_COMPARED: Final = (
    "decision", "candidates", "components", "families", "nothing", "unexplained_cm1", "smallest_shares",
    "quality", "reason_codes",
)  # fmt: skip
_NOT_STATED: Final = "not stated"


@dataclass(frozen=True, slots=True)
class Deviation:
    """One thing that is not as recorded.

    Attributes
    ----------
    what : str
        Where it stands in the record, like ``"components[0].share"``.
    recorded, found : object
        What the packet says, and what there is now; JSON-ready.
    """

    what: str
    recorded: Any
    found: Any

    def __str__(self) -> str:
        return f"{self.what}: recorded {_shown(self.recorded)}, now {_shown(self.found)}"


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of computing a recorded result again.

    Attributes
    ----------
    packet_id, device_id : str
        Which packet, and of which device.
    seq : int
        Its number on the device.
    keyid : str
        Key that signed it; whether it is a trusted one is another question (``spectralid packets verify``).
    status : {"same", "different", "not_compared"}
        Whether the result is the one on record.
    bit_identical : bool or None
        Whether the identification is the recorded one to the last bit; ``None`` where nothing was computed.
    largest_difference : float or None
        Greatest difference of a number that was compared; ``None`` where there was none to compare.
    deviations : tuple of Deviation
        What is not as recorded, beyond the tolerance.
    conditions : tuple of Deviation
        What it is computed with now that was another when it was recorded.
    unstated : tuple of str
        What the packet does not say and was taken as it is here.
    not_replayed : tuple of str
        Parts of the packet that are no result of its spectrum alone.
    """

    packet_id: str
    device_id: str
    seq: int
    keyid: str
    status: Status
    bit_identical: bool | None
    largest_difference: float | None
    deviations: tuple[Deviation, ...]
    conditions: tuple[Deviation, ...]
    unstated: tuple[str, ...]
    not_replayed: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain, JSON-ready form."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for name in ("deviations", "conditions"):
            plain[name] = [
                {"what": d.what, "recorded": d.recorded, "found": d.found} for d in getattr(self, name)
            ]
        return plain | {"unstated": list(self.unstated), "not_replayed": list(self.not_replayed)}

    def text(self) -> str:
        """What came of it, in a few lines."""
        said = {
            "same": "same result" + (", to the last bit" if self.bit_identical else ""),
            "different": "NOT the result on record",
            "not_compared": "not compared",
        }[self.status]
        lines = [f"packet {self.seq} of {self.device_id}: {said}"]
        lines += [f"  {deviation}" for deviation in self.deviations]
        lines += [f"  made otherwise: {condition}" for condition in self.conditions]
        lines += [f"  the packet does not say: {what}" for what in self.unstated]
        lines += [f"  not replayed: {what}" for what in self.not_replayed]
        return "\n".join(lines)


def replay(
    packet: Packet, engine: Identifier, *, policy: Policy | None = None, anyway: bool = False
) -> Replay:
    """Compute the result of a recorded scan again, and compare.

    Parameters
    ----------
    packet : Packet
        Of kind ``"scan"``; whoever signed it.
    engine : Identifier
        With the library and the instrument models the result was made with.
    policy : Policy, optional
        The policy the verdict was decided by; `default_policy` by default.
    anyway : bool
        Compare even where library, policy or models are not the recorded ones.

    Returns
    -------
    Replay
        ``"not_compared"`` where library, policy, instrument or family model are others than on record: then
        another result would prove nothing. Where only the version of spectralid, its confidence record, NumPy
        or SciPy is another, it is compared all the same and `conditions` says so.

    Raises
    ------
    PacketError
        If the packet is no scan, its spectrum or result cannot be read, or the policy does not have the
        language of the verdict.
    """
    if packet.kind != "scan":
        raise PacketError(
            f"The packet {packet.packet_id} is of the kind {packet.kind!r}; only scans have results."
        )
    try:
        return _Replayed(packet, engine, policy or default_policy(), anyway=anyway).outcome()
    except (KeyError, IndexError, TypeError, AttributeError, ParameterError) as error:
        raise PacketError(f"The result in the packet {packet.packet_id} cannot be read ({error}).") from None


class _Replayed:
    def __init__(self, packet: Packet, engine: Identifier, policy: Policy, *, anyway: bool) -> None:
        self.packet = packet
        self.recorded: Mapping[str, Any] = packet.manifest["result"]
        self.engine = engine
        self.policy = policy
        self.anyway = anyway
        self.spectrum = spectrum_of(packet)

    def outcome(self) -> Replay:
        blocking, noted, unstated = self._conditions()
        if blocking and not self.anyway:
            return self._replay("not_compared", None, None, (), (*blocking, *noted), unstated)
        context = {k: str(v) for k, v in self.packet.manifest.get("context", {}).items()}
        try:
            identification = self.engine.identify(self.spectrum, context=context)
        except InputError as error:
            refused = self.recorded.get("refused", _NOT_STATED)
            found = () if refused == str(error) else (Deviation("refused", refused, str(error)),)
            status: Status = "different" if found else "same"
            return self._replay(status, None, None, found, (*blocking, *noted), unstated)
        if "refused" in self.recorded:
            found = (Deviation("refused", self.recorded["refused"], "a result"),)
            return self._replay("different", False, None, found, (*blocking, *noted), unstated)
        verdict = decide(
            identification,
            self.engine.library,
            policy=self.policy,
            language=self.recorded["verdict"]["language"],
            circumstances=self._circumstances(),
        )
        again = finite(
            concluded(identification, verdict, self.engine.library, engine=__version__, thresholds={})
        )
        compared = [
            *_compared("", *({name: of[name] for name in _COMPARED} for of in (self.recorded, again))),
            *_compared(
                "verdict.",
                *({name: of["verdict"][name] for name in _DECISIVE} for of in (self.recorded, again)),
            ),
        ]
        deviations = tuple(one for one, _ in compared if one is not None)
        sizes = [size for _, size in compared if size is not None]
        identical = (
            hashlib.sha256(identification.to_json().encode()).hexdigest()
            == self.recorded["identification_sha256"]
        )
        if identical:
            # Then the sentences have to be the same, too, unless other code or another policy made them.
            same_maker = not blocking and not any(c.what == "engine.version" for c in noted)
            if same_maker and self.recorded["verdict"] != again["verdict"] and not deviations:
                deviations = tuple(
                    Deviation(f"verdict.{name}", value, again["verdict"].get(name))
                    for name, value in self.recorded["verdict"].items()
                    if value != again["verdict"].get(name)
                )
        return self._replay(
            "different" if deviations else "same",
            identical,
            max(sizes, default=None),
            deviations,
            (*blocking, *noted),
            unstated,
        )

    def _circumstances(self) -> Circumstances:
        manifest = self.packet.manifest
        return Circumstances(
            instrument_check=manifest.get("instrument_check", "unknown"),
            library_age_days=self.recorded["library"].get("age_days"),
            clock_state=manifest["captured"]["clock_state"],
        )

    def _conditions(self) -> tuple[list[Deviation], list[Deviation], tuple[str, ...]]:
        """What differs and makes comparing idle, what differs and is only said, and what is not stated."""
        engine, library = self.recorded["engine"], self.engine.library
        here = self.engine.rests_on(self.spectrum.technique)
        blocking = _unlike("library.sha256", self.recorded["library"]["sha256"], library.sha256)
        noted = _unlike("engine.version", engine["version"], __version__)
        if "verdict" in self.recorded:
            blocking += _unlike("policy", self.recorded["verdict"]["policy"], self.policy.title)
            for name in ("instrument_model", "family_model"):
                if name in engine:
                    blocking += _unlike(f"engine.{name}", engine[name], here[name])
        for name in ("confidence_record", "numpy", "scipy"):
            if name in engine:
                noted += _unlike(f"engine.{name}", engine[name], here[name])
        unstated = tuple(
            f"{name.replace('_', ' ')} (taken as it is here)"
            for name in here
            if name not in engine and "verdict" in self.recorded
        )
        return blocking, noted, unstated

    def _replay(
        self,
        status: Status,
        identical: bool | None,
        largest: float | None,
        deviations: tuple[Deviation, ...],
        conditions: Sequence[Deviation],
        unstated: tuple[str, ...],
    ) -> Replay:
        packet = self.packet
        left: tuple[str, ...] = ()
        if packet.manifest.get("assessment"):
            left = (
                "the assessment of the item (it also rests on declared goods, strips and other scans, which "
                "are in packets of their own)",
            )
        return Replay(
            packet_id=packet.packet_id,
            device_id=packet.device_id,
            seq=packet.seq,
            keyid=packet.keyid,
            status=status,
            bit_identical=identical,
            largest_difference=largest,
            deviations=deviations,
            conditions=tuple(conditions),
            unstated=unstated,
            not_replayed=left,
        )


def _unlike(what: str, recorded: Any, found: Any) -> list[Deviation]:
    return [] if recorded == found else [Deviation(what, recorded, found)]


def _compared(path: str, recorded: Any, found: Any) -> Iterator[tuple[Deviation | None, float | None]]:
    """Every place of two plain values: its deviation, if it is one, and the difference of numbers."""
    if isinstance(recorded, Mapping) and isinstance(found, Mapping):
        for name in dict.fromkeys([*recorded, *found]):
            inner = f"{path}{name}" if not path or path.endswith(".") else f"{path}.{name}"
            yield from _compared(inner, recorded.get(name, _NOT_STATED), found.get(name, _NOT_STATED))
    elif isinstance(recorded, list) and isinstance(found, list) and len(recorded) == len(found):
        for place, (one, other) in enumerate(zip(recorded, found, strict=True)):
            yield from _compared(f"{path}[{place}]", one, other)
    elif _number(recorded) and _number(found):
        size = abs(float(recorded) - float(found))
        if path.endswith(".snr"):
            size /= max(abs(float(recorded)), 1.0)
        yield (Deviation(path, recorded, found) if not size <= TOLERANCE else None), size
    elif recorded != found:
        yield Deviation(path, recorded, found), None


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _shown(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
