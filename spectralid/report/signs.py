"""The sign of each alarm: a word, a shape and a colour, so that none is needed to understand the others."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from spectralid.report.ink import Fill, Mark, Word, text_width

__all__ = ["SIGNS", "Sign", "drawn", "sign_of"]


@dataclass(frozen=True, slots=True)
class Sign:
    """Shape, colour and letter of an alarm; white on the colour has a contrast of at least 7:1."""

    corners: int
    turn: float
    colour: str
    letter: str


SIGNS: Final = {
    "danger": Sign(8, math.pi / 8, "#9B1320", "!"),
    "unknown": Sign(4, 0.0, "#5A189A", "?"),
    "warning": Sign(3, -math.pi / 2, "#7A4300", "!"),
    "notice": Sign(48, 0.0, "#1D4E89", "i"),
}


def sign_of(alarm: str) -> Sign:
    """The sign of an alarm; that of ``unknown`` for a level nobody knows here."""
    return SIGNS.get(alarm, SIGNS["unknown"])


def drawn(alarm: str, x: float, y: float, size: float) -> list[Mark]:
    """The sign around the point (x, y), `size` wide."""
    sign = sign_of(alarm)
    # A triangle's middle is not the middle of its box; its letter stands where it is wide.
    down = size * 0.08 if sign.corners == 3 else 0.0
    radius = size / 2 * (1.15 if sign.corners == 3 else 1.0)
    corners = tuple(
        (
            x + radius * math.cos(sign.turn + 2 * math.pi * n / sign.corners),
            y + down + radius * math.sin(sign.turn + 2 * math.pi * n / sign.corners),
        )
        for n in range(sign.corners)
    )
    letter = size * 0.55
    middle = x - text_width(sign.letter, letter, "bold") / 2
    return [
        Fill(corners, sign.colour),
        Word(middle, y + down + letter * 0.36, sign.letter, letter, "bold", "#FFFFFF"),
    ]
