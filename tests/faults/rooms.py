"""All lists of faults."""

from __future__ import annotations

from tests.faults import devices, files, quality, reachback, tablet
from tests.faults.rows import Room

__all__ = ["ROOMS"]

ROOMS: tuple[Room, ...] = (devices.ROOM, tablet.ROOM, reachback.ROOM, quality.ROOM, files.ROOM)
