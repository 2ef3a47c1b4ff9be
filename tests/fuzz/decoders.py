"""Decoders of the instruments' lines, fresh, as the drivers make them."""

from __future__ import annotations

from typing import Any

from spectralid.devices.codec import obp as obp_codec
from spectralid.devices.codec import ocean_legacy as legacy
from spectralid.devices.codec import wasatch as wasatch_codec


def obp() -> list[Any]:
    return [obp_codec.Decoder()]


def wasatch() -> list[Any]:
    return [wasatch_codec.Decoder()]


def ocean_legacy() -> list[Any]:
    plain = legacy.Layout(legacy.Dialect.FLAME, 10)
    packed = legacy.Layout(legacy.Dialect.FLAME, 10, compressed=True, checksum=True)
    answers = [
        legacy.AnswerDecoder(legacy.encode("I", 100, mode=mode), mode, expect)
        for mode in legacy.Mode
        for expect in legacy.Expect
    ]
    return [
        legacy.RecordDecoder(plain),
        legacy.RecordDecoder(packed),
        legacy.TextRecordDecoder(plain),
        *answers,
    ]
