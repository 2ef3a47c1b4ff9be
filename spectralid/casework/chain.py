"""Whether the chain of packets on a device is whole: nothing edited, nothing missing, nothing exchanged."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from spectralid.casework.errors import PacketError
from spectralid.casework.facts import Problem
from spectralid.casework.manifest import GENESIS
from spectralid.casework.packet import open_packet

if TYPE_CHECKING:
    from spectralid.casework.keys import PublicKey
    from spectralid.casework.store import CaseStore

__all__ = ["chain_problems"]

_ROW = (
    "SELECT p.seq, p.packet_id, p.kind, p.seizure_ref, p.item_ref, p.sha256, p.prev, p.raw, "
    "o.receipt IS NULL FROM packets p LEFT JOIN outbox o USING (packet_id) WHERE p.seq = ?"
)


def chain_problems(store: CaseStore, seqs: Sequence[int]) -> tuple[Problem, ...]:
    """What is wrong with the packets `seqs`, and between them.

    Parameters
    ----------
    store : CaseStore
        Where they are.
    seqs : sequence of int
        Ascending, without leaving any out that is there.
    """
    keys, device_id = store.keys(), store.device_id
    # A number is skipped only where a restored backup says so.
    firsts = dict(store.read("SELECT first_seq, after_seq FROM epochs"))
    problems: list[Problem] = []
    before, prev = None, None
    for seq in seqs:
        # One at a time: a packet may have megabytes.
        ((_, *row, raw, unreceipted),) = store.read(_ROW, (seq,))
        facts = dict(
            zip(("packet_id", "kind", "seizure_ref", "item_ref", "sha256", "prev"), row, strict=True)
        )
        if before is None:
            prev = GENESIS if seq == 1 else None
            if seq > 1 and seqs[0] == seq and store.read("SELECT 1 FROM packets WHERE seq < ?", (seq,)) == []:
                problems += _gap(0, seq, firsts)
        elif seq != before + 1:
            problems += _gap(before, seq, firsts)
        problem = _wrong(facts, seq, prev, device_id, raw, keys, kept=bool(unreceipted))
        if problem is not None:
            problems.append(Problem(f"packet {seq}", *problem))
        before, prev = seq, facts["sha256"]
    return tuple(problems)


def _gap(before: int, seq: int, firsts: dict[int, int]) -> list[Problem]:
    if seq in firsts and firsts[seq] <= before:
        return []
    gone = f"packet {before + 1} is" if seq == before + 2 else f"packets {before + 1} to {seq - 1} are"
    return [Problem(f"packet {before + 1}", "deleted", f"{gone} missing.")]


def _wrong(
    facts: dict[str, Any],
    seq: int,
    prev: str | None,
    device_id: str,
    raw: bytes | None,
    keys: dict[str, PublicKey],
    *,
    kept: bool,
) -> tuple[Any, str] | None:
    if prev is not None and facts["prev"] != prev:
        return "edited", "it does not follow on the packet before, one of the two was exchanged."
    if raw is None:
        return ("deleted", "its bytes are gone and there is no receipt for it.") if kept else None
    if hashlib.sha256(raw).hexdigest() != facts["sha256"]:
        return "edited", "its bytes are not those that were recorded; ask for a copy."
    try:
        packet = open_packet(raw, keys)
    except PacketError as error:
        return "unsigned", str(error)
    stated = {**facts, "seq": seq, "device_id": device_id}
    del stated["sha256"]
    for name, value in stated.items():
        if packet.manifest.get(name) != value:
            return "misfiled", f"the store has {name} {value!r} and the packet {packet.manifest.get(name)!r}."
    return None
