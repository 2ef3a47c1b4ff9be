"""A tablet's own store and the server's core, with nothing between them."""

from __future__ import annotations

import sqlalchemy as sa

from spectralid.casework import inbox, messages, outbox
from spectralid.reachback.store import tables
from spectralid.reachback.tablets import answers


def hand_over(desk, store):
    """Everything that waits, each packet with its receipt, as the tablet takes it from a line."""
    taken = []
    for (packet_id,) in store.read("SELECT packet_id FROM outbox WHERE state = 'queued' ORDER BY seq"):
        done = desk.ingest(store.packet(packet_id).raw, device=store.device_id)
        receipt = messages.parse_receipt(done.receipt, desk.trust(store))
        assert outbox.take_receipt(store, receipt, round_trip_s=0.1)
        taken.append(done)
    return taken


def look(desk, store):
    """What the inbox holds; notices are followed."""
    found = answers.after(desk.db, desk.keys, store.device_id, inbox.last_without_gap(store), now=desk.time)
    return [inbox.take_message(store, raw, desk.trust(store)) for raw in found]


def rows(desk, name):
    """All of a table."""
    with desk.db.read() as tx:
        return [dict(row) for row in tx.execute(sa.select(tables.metadata.tables[name])).mappings()]
