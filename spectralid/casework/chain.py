"""Whether the chain of packets on a device is whole: nothing edited, nothing missing, nothing exchanged."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from spectralid.casework.database import as_bytes
from spectralid.casework.errors import PacketError
from spectralid.casework.facts import Checkpoint, Problem
from spectralid.casework.manifest import GENESIS
from spectralid.casework.packet import open_packet

if TYPE_CHECKING:
    from spectralid.casework.keys import PublicKey
    from spectralid.casework.store import CaseStore

__all__ = ["EPOCH", "EPOCH_JUMP", "against", "chain_problems", "missing"]

EPOCH: Final = 2**24
"""Numbers per epoch of a chain: 16,777,216 records."""
EPOCH_JUMP: Final = 2**16
"""How far apart two epochs are at most: drawn at random, two get the same numbers once in 65,536."""

_COLUMNS: Final = ("packet_id", "kind", "seizure_ref", "item_ref", "prev")
_ROW: Final = (
    "SELECT p.packet_id, p.kind, p.seizure_ref, p.item_ref, p.prev, p.sha256, p.raw, o.receipt IS NOT NULL, "
    "o.seq FROM packets p LEFT JOIN outbox o USING (packet_id) WHERE p.seq = ?"
)


def chain_problems(
    store: CaseStore,
    seqs: Sequence[int],
    *,
    keys: Mapping[str, PublicKey],
    hashes: dict[int, str],
    whole: bool,
) -> list[Problem]:
    """What is wrong with packets of a store, and between them.

    Parameters
    ----------
    store : CaseStore
        Where they are.
    seqs : sequence of int
        Their numbers, ascending, none left out that is there.
    keys : mapping of str to PublicKey
        The keys of the device by key id.
    hashes : dict of int to str
        Filled with the SHA-256 of each.
    whole : bool
        Whether they are all that there are, so that the first must be number 1.
    """
    # A number is skipped only where the restore of a backup says so.
    skips = dict(store.read("SELECT first_seq, after_seq FROM epochs"))
    problems: list[Problem] = []
    last, prev = (0, GENESIS) if whole else (None, None)
    for seq in seqs:
        # One at a time: a packet may have megabytes.
        found = store.read(_ROW, (seq,))
        if len(found) != 1:
            words = "the index lists it and its row is not there; the file is damaged, restore a backup."
            problems.append(Problem(f"packet {seq}", "edited", words))
            last, prev = seq, None
            continue
        ((*columns, sha256, raw, receipted, queued),) = found
        if last is not None and seq != last + 1 and not skips.get(seq, seq) <= last:
            problems.append(missing("packet", last, seq))
            prev = None
        stated = {"seq": seq, "device_id": store.device_id, **dict(zip(_COLUMNS, columns, strict=True))}
        if raw is None and not receipted:
            words = "its bytes are gone and there is no receipt for it."
            problems.append(Problem(f"packet {seq}", "deleted", words))
        elif queued != seq:
            words = "it has lost its place in the outbox and would never be sent."
            problems.append(Problem(f"packet {seq}", "edited", words))
        elif words := _wrong(stated, sha256, prev, raw, keys):
            problems.append(Problem(f"packet {seq}", "edited", words))
        last, prev, hashes[seq] = seq, sha256, sha256
    return problems


def _wrong(
    stated: Mapping[str, Any],
    sha256: str,
    prev: str | None,
    raw: Any,
    keys: Mapping[str, PublicKey],
) -> str:
    if prev is not None and stated["prev"] != prev:
        return "it does not follow on the packet before; one of the two was exchanged."
    if raw is None:
        return ""
    if hashlib.sha256(as_bytes(raw)).hexdigest() != sha256:
        return "its bytes are not those that were recorded; ask for a copy."
    try:
        manifest = open_packet(raw, keys).manifest
    except PacketError as error:
        return str(error)
    for name, value in stated.items():
        if manifest.get(name) != value:
            return f"the store says {name} is {value!r}, the packet {manifest.get(name)!r}."
    return ""


def missing(chain: str, before: int, after: int) -> Problem:
    """That the links between two are not there."""
    gone = f"{before + 1} is" if after == before + 2 else f"{before + 1} to {after - 1} are"
    return Problem(f"{chain} {before + 1}", "deleted", f"{gone} missing.")


def against(held: Iterable[Checkpoint], hashes: Mapping[int, str], chain: str) -> list[Problem]:
    """Where a chain is not the one that checkpoints know.

    Parameters
    ----------
    held : iterable of Checkpoint
        Held elsewhere.
    hashes : mapping of int to str
        The SHA-256 of every link there is.
    chain : str
        Its name.
    """
    problems = []
    last = max(hashes, default=0)
    for point in sorted(held, key=lambda point: point.n):
        where = f"{chain} {point.n}"
        if point.n > last:
            words = f"a checkpoint knows it, and the chain ends at {last}: its end was cut off."
            problems.append(Problem(where, "truncated", words))
        elif hashes.get(point.n, point.sha256) != point.sha256:
            words = "a checkpoint knows another in this place: the chain was written anew."
            problems.append(Problem(where, "restamped", words))
    return problems
