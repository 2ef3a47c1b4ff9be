"""What goes into the store and what it tells: plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spectralid.casework.packet import Blob

__all__ = ["Checkpoint", "Draft", "Health", "Item", "Problem", "Row", "Seizure", "Stored"]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The newest link of a chain at some time, held where the chain cannot be changed.

    Attributes
    ----------
    n : int
        Its number: of a custody entry, or the sequence number of a packet.
    sha256 : str
        Of the entry or the packet.
    """

    n: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be recorded.

    Attributes
    ----------
    kind : {"seizure", "item", "scan", "evidence", "send", "custody"}
        What happened.
    seizure_ref : str
        The seizure it belongs to; opened by a packet of kind ``"seizure"``.
    item_ref : str or None
        The item; added by a packet of kind ``"item"``.
    body : mapping
        The manifest fields of the kind (docs/packet-format.md), plain data.
    blobs : tuple of Blob
        What the body refers to by SHA-256.
    """

    kind: str
    seizure_ref: str
    item_ref: str | None
    body: Mapping[str, Any]
    blobs: tuple[Blob, ...] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """What was recorded: it is on the disk, signed, and queued for reachback.

    Attributes
    ----------
    packet_id : str
        UUID, ordered by time.
    seq : int
        Place in the chain of the device.
    sha256 : str
        Of the packet.
    captured_utc : str
        By the clock of the device.
    clock_state : {"synced", "drift", "unsynced"}
        How far that can be trusted.
    """

    packet_id: str
    seq: int
    sha256: str
    captured_utc: str
    clock_state: str


@dataclass(frozen=True, slots=True)
class Row:
    """One packet in the history.

    Attributes
    ----------
    packet_id, seq, kind, seizure_ref, item_ref, sha256, captured_utc, clock_state
        As recorded.
    size : int
        Bytes of the packet.
    state : {"queued", "sending", "received", "attention"}
        How far it got on its way to reachback.
    removed : bool
        Whether its bytes were removed after a verified receipt.
    damaged : bool
        Whether a scrub found its bytes damaged.
    """

    packet_id: str
    seq: int
    kind: str
    seizure_ref: str
    item_ref: str | None
    sha256: str
    captured_utc: str
    clock_state: str
    size: int
    state: str
    removed: bool
    damaged: bool


@dataclass(frozen=True, slots=True)
class Seizure:
    """A seizure as it was opened, or last corrected."""

    seizure_ref: str
    packet_id: str
    opened_utc: str
    officer_ref: str
    site_ref: str
    place: str
    mode: str
    note: str
    items: int
    scans: int


@dataclass(frozen=True, slots=True)
class Item:
    """An item as it was added, or last corrected."""

    item_ref: str
    seizure_ref: str
    packet_id: str
    added_utc: str
    label: str
    container: str
    declared: Mapping[str, Any] | None
    scans: int


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the store can be relied on.

    Attributes
    ----------
    read_only : bool
        Nothing can be stored.
    reason : str
        Why, and what to do; empty when all is well.
    free_bytes : int
        On the disk of the store.
    ballast : bool
        Whether the reserve is in place; if not, it was given up because the disk is full.
    counts : mapping of str to int
        Packets, seizures, items, and packets by state of the outbox.
    problems : tuple of Problem
        What opening found wrong with the newest packets.
    """

    read_only: bool
    reason: str
    free_bytes: int
    ballast: bool
    counts: Mapping[str, int]
    problems: tuple[Problem, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with one row of a chain.

    Attributes
    ----------
    where : str
        The chain and the row: ``"packet 12"``, ``"custody 7"``.
    what : {"edited", "deleted", "truncated", "restamped"}
        What was done to it; ``"restamped"`` where the chain holds and a checkpoint knows another one.
    words : str
        The same as a sentence.
    """

    where: str
    what: str
    words: str

    def __str__(self) -> str:
        return f"{self.where}: {self.words}"
