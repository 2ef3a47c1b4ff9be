"""All lists of faults."""

from __future__ import annotations

from tests.faults import devices, reachback
from tests.faults.rows import Room

__all__ = ["ROOMS"]

ROOMS: tuple[Room, ...] = (devices.ROOM, reachback.ROOM)
