"""A tablet's own store and the server's core, with nothing between them."""

from __future__ import annotations

from spectralid.casework import inbox
from spectralid.reachback import answers


def hand_over(desk, store):
    """Everything that waits, each packet with its receipt, as the tablet takes it."""
    for (packet_id,) in store.read("SELECT packet_id FROM outbox WHERE state = 'queued' ORDER BY seq"):
        done = desk.ingest(store.packet(packet_id).raw, device=store.device_id)
        assert inbox.take_message(store, done.receipt, desk.trust(store)).new


def look(desk, store):
    """What the inbox holds; notices are followed."""
    found = answers.after(desk.db, desk.keys, store.device_id, inbox.last_without_gap(store), now=desk.time)
    return [inbox.take_message(store, raw, desk.trust(store)) for raw in found]
