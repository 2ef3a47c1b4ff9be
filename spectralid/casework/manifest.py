"""What a manifest may hold: strict JSON first, then the fields of each kind of packet.

Anybody can send bytes to a server or lay a file on a USB stick. `loads` refuses whatever two readers could
understand differently (duplicate keys, NaN, numbers beyond 2^53, text that is no Unicode) or that costs more
to read than it is worth (size, depth); `check` then looks at types and required fields. Fields not named here
are allowed and kept, so that a packet can say more without every reader changing.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, NoReturn

from spectralid.casework.errors import PacketError, UnknownSchemaError
from spectralid.errors import MissingDependencyError

try:
    import msgspec
except ImportError:
    raise MissingDependencyError("msgspec", extra="tablet", purpose="to read and write packets") from None

__all__ = [
    "GENESIS",
    "KINDS",
    "MAX_DEPTH",
    "MAX_MANIFEST",
    "MAX_POINTS",
    "SCHEMA",
    "check",
    "dumps",
    "loads",
    "prepare",
]

SCHEMA: Final = "spectralid.packet/1"
GENESIS: Final = "0" * 64
MAX_MANIFEST: Final = 256 * 1024
MAX_DEPTH: Final = 8
MAX_POINTS: Final = 65_536
MAX_INTEGER: Final = 2**53

# A closing quote is optional and nothing is given back, so that the time is linear whatever the bytes.
_STRINGS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_SCHEMA: Final = re.compile(r"spectralid\.packet/([1-9][0-9]{0,8})")


def dumps(content: Mapping[str, Any]) -> bytes:
    """`content` as JSON: UTF-8, sorted keys, no spaces.

    Raises
    ------
    PacketError
        If it holds something that JSON has no form for, NaN and infinity included.
    """
    try:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
        return text.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise PacketError(f"The manifest cannot be written as JSON: {error}.") from None


def loads(data: bytes, *, max_bytes: int = MAX_MANIFEST, max_depth: int = MAX_DEPTH) -> dict[str, Any]:
    """The JSON object in `data`, read strictly.

    Parameters
    ----------
    data : bytes
        UTF-8 without byte order mark.
    max_bytes, max_depth : int
        More bytes or deeper nesting is refused; the object itself is depth 1.

    Raises
    ------
    PacketError
        If it is no JSON object; has duplicate keys, NaN, infinity, an integer beyond ±2^53, a NUL or half a
        surrogate pair; or exceeds a limit.
    """
    if len(data) > max_bytes:
        _refuse(f"{len(data)} bytes are more than the {max_bytes} allowed")
    if (deepest := _depth(data)) > max_depth:
        _refuse(f"it is nested {deepest} deep, more than the {max_depth} allowed")
    try:
        content = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_constant,
        )
    except (ValueError, RecursionError) as error:
        _refuse(str(error))
    if not isinstance(content, dict):
        _refuse("it is no JSON object")
    if b"\\u" in data or b"\x00" in data:
        _texts(content)
    return content


def _refuse(why: str) -> NoReturn:
    raise PacketError(f"The manifest is refused: {why}.") from None


def _depth(data: bytes) -> int:
    depth = deepest = 0
    for byte in _STRINGS.sub(b"", data):
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        _refuse("a key is there twice in one object")
    return content


def _integer(text: str) -> int:
    # Before int(): thousands of digits cost quadratic time.
    if len(text) > 17 or abs(value := int(text)) > MAX_INTEGER:
        _refuse("an integer is beyond 2^53")
    return value


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        _refuse("a number is too large")
    return value


def _constant(text: str) -> NoReturn:
    _refuse(f"{text} is no JSON")


def _texts(value: Any) -> None:
    """Refuse text that cannot be stored or sent on: NUL, and halves of surrogate pairs."""
    if isinstance(value, str):
        if "\x00" in value:
            _refuse("a text holds a NUL")
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            _refuse("a text is no Unicode")
    elif isinstance(value, dict):
        for key, inner in value.items():
            _texts(key)
            _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            _texts(inner)


# --- fields ----------------------------------------------------------------------------------------------

_Text = Annotated[str, msgspec.Meta(max_length=500)]
_Note = Annotated[str, msgspec.Meta(max_length=2000)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+\Z")]
_Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
_Uuid7 = Annotated[
    str, msgspec.Meta(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z")
]
_Utc = Annotated[
    str, msgspec.Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z\Z")
]
_Natural = Annotated[int, msgspec.Meta(ge=0)]
_Points = Annotated[int, msgspec.Meta(ge=2, le=MAX_POINTS)]
_Technique = Literal["raman", "ftir", "ftir_atr", "ftir_transmission", "unknown"]


class _Captured(msgspec.Struct, kw_only=True):
    wall_utc: _Utc
    monotonic_us: _Natural
    boot_id: _Name
    clock_state: Literal["synced", "drift", "unsynced"]
    last_trusted_utc: _Utc | None = None
    flags: list[_Name] = []


class _Blob(msgspec.Struct, kw_only=True):
    sha256: _Sha256
    size: _Natural
    media_type: Annotated[
        str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}\Z")
    ]
    name: Annotated[str, msgspec.Meta(max_length=120)] = ""


class _Spectrum(msgspec.Struct, kw_only=True):
    blob: _Sha256
    dtype: Literal["<f4", "<f8"]
    n: _Points
    unit: _Name
    x0: float | None = None
    dx: float | None = None
    x_blob: _Sha256 | None = None
    sd_blob: _Sha256 | None = None
    header_blob: _Sha256 | None = None
    sha256: _Sha256 | None = None
    dark: _Sha256 | None = None
    background: _Sha256 | None = None


class _Instrument(msgspec.Struct, kw_only=True):
    technique: _Technique
    laser_nm: float | None = None
    power_mw: float | None = None
    integration_ms: float | None = None
    averages: _Natural | None = None


class _Check(msgspec.Struct, kw_only=True):
    id: _Text
    time: _Utc
    passed: bool
    limits_version: _Text


class _Original(msgspec.Struct, kw_only=True):
    blob: _Sha256
    media_type: _Name
    name_sanitised: _Text


class _Result(msgspec.Struct, kw_only=True):
    decision: Literal["identified", "mixture", "class_only", "inconclusive", "no_match"]
    engine: dict[str, Any]
    library: dict[str, Any]
    candidates: list[dict[str, Any]] = []
    reason_codes: list[_Text] = []


class _Strip(msgspec.Struct, kw_only=True):
    target: _Name
    result: Literal["pos", "neg", "invalid"]
    brand: _Text = ""
    lot: _Text = ""
    expiry: _Text = ""
    cutoff_ng_ml: float | None = None
    dilution_mg_ml: float | None = None
    read_s: float | None = None


class _Escalation(msgspec.Struct, kw_only=True):
    why: list[_Name]
    urgency: _Text = ""
    officer_note: _Note = ""


class _Photo(msgspec.Struct, kw_only=True):
    blob: _Sha256


class _Declared(msgspec.Struct, kw_only=True):
    text: _Note = ""
    cas: _Text = ""
    tariff: _Text = ""


class _Chain(msgspec.Struct, kw_only=True):
    id: _Name
    epoch: _Natural


class _Head(msgspec.Struct, kw_only=True):
    n: _Natural
    sha256: _Sha256


class _Manifest(msgspec.Struct, kw_only=True):
    kind: str
    packet_id: _Uuid7
    device_id: _Name
    seq: Annotated[int, msgspec.Meta(ge=1)]
    prev: _Sha256
    captured: _Captured
    blobs: Annotated[list[_Blob], msgspec.Meta(max_length=16)]
    seizure_ref: _Name
    item_ref: _Name | None = None
    officer_ref: _Text = ""
    site_ref: _Text = ""
    ui_locale: _Text = ""
    chain: _Chain | None = None
    custody: _Head | None = None
    spectra: Annotated[list[_Spectrum], msgspec.Meta(max_length=16)] = []
    original: _Original | None = None
    photos: list[_Photo] = []


class _Seizure(_Manifest, kw_only=True):
    officer_ref: _Name
    place: _Text = ""
    mode: _Text = ""
    note: _Note = ""


class _Item(_Manifest, kw_only=True):
    item_ref: _Name
    label: _Text
    container: _Text = ""
    declared: _Declared | None = None


class _Scan(_Manifest, kw_only=True):
    item_ref: _Name
    instrument: _Instrument
    spectra: Annotated[list[_Spectrum], msgspec.Meta(min_length=1, max_length=16)]
    result: _Result
    ipv: _Check | Literal["none"] = "none"
    strips: list[_Strip] = []
    escalation: _Escalation | None = None
    caution_shown: list[_Name] = []
    rescan_of: _Uuid7 | None = None


class _Evidence(_Manifest, kw_only=True):
    item_ref: _Name
    strips: list[_Strip] = []
    declared: _Declared | None = None
    note: _Note = ""
    fusion: dict[str, Any] | None = None
    assessment: dict[str, Any] | None = None
    escalation: _Escalation | None = None


class _Send(_Manifest, kw_only=True):
    escalation: _Escalation
    packet_ids: list[_Uuid7] = []


class _Custody(_Manifest, kw_only=True):
    action: _Name
    to: _Text = ""
    note: _Note = ""


KINDS: Final[Mapping[str, type[_Manifest]]] = {
    "seizure": _Seizure,
    "item": _Item,
    "scan": _Scan,
    "evidence": _Evidence,
    "send": _Send,
    "custody": _Custody,
}


def prepare(*kinds: type[msgspec.Struct]) -> None:
    """Let msgspec learn the fields of these types now, while the module is imported.

    It learns them when they are first used, and two threads that do so at the same time can end the whole
    process (a null pointer, msgspec 0.22): the first packets of a server are just that.
    """
    for kind in kinds:
        msgspec.json.Decoder(kind)


prepare(*KINDS.values())


def check(content: Mapping[str, Any]) -> None:
    """See that a manifest has the fields of its kind, of their types.

    Parameters
    ----------
    content : mapping
        As `loads` read it.

    Raises
    ------
    UnknownSchemaError
        If the schema or the kind is one of a newer version.
    PacketError
        If a field is missing or of the wrong type; the message names it.
    """
    schema = content.get("schema")
    version = _SCHEMA.fullmatch(schema) if isinstance(schema, str) else None
    if version is None:
        _refuse("it states no schema of a packet")
    if schema != SCHEMA:
        raise UnknownSchemaError(
            f"The packet is of the format {schema!r} and this version knows {SCHEMA!r}; keep it and update."
        )
    kind = content.get("kind")
    if not isinstance(kind, str):
        _refuse("it states no kind")
    if kind not in KINDS:
        raise UnknownSchemaError(
            f"The packet is of the kind {kind[:40]!r}, which this version does not know; keep it and update."
        )
    try:
        msgspec.convert(content, KINDS[kind])
    except msgspec.ValidationError as error:
        _refuse(str(error))
