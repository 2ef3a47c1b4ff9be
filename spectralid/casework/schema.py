"""The tables of the store, and how older ones become today's.

Two chains that only grow (`packets`, `custody`), projections of the packets for the screen (`seizures`,
`items`, `spectra`), the checks of the
instruments, and what is exchanged with reachback. The triggers keep a mistake in a program from
changing a chain; against somebody who means to, the chains themselves are there.
"""

from __future__ import annotations

from typing import Final

__all__ = ["APPLICATION_ID", "STEPS"]

# "SID1" in the header of the database, for whoever finds the file.
APPLICATION_ID: Final = 0x53494431

_FIRST: Final = (
    """CREATE TABLE packets (
        seq INTEGER PRIMARY KEY,
        packet_id TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        seizure_ref TEXT NOT NULL,
        item_ref TEXT,
        sha256 TEXT NOT NULL UNIQUE,
        prev TEXT NOT NULL,
        captured_utc TEXT NOT NULL,
        monotonic_us INTEGER NOT NULL,
        boot_id TEXT NOT NULL,
        clock_state TEXT NOT NULL,
        size INTEGER NOT NULL,
        raw BLOB)""",
    "CREATE INDEX packets_of_item ON packets (item_ref, seq) WHERE item_ref IS NOT NULL",
    "CREATE INDEX packets_of_seizure ON packets (seizure_ref, seq)",
    """CREATE TRIGGER packets_stay BEFORE DELETE ON packets
        BEGIN SELECT RAISE(ABORT, 'packets are never deleted'); END""",
    """CREATE TRIGGER packets_fixed BEFORE UPDATE OF seq, packet_id, kind, seizure_ref, item_ref, sha256,
        prev, captured_utc, monotonic_us, boot_id, clock_state, size ON packets
        BEGIN SELECT RAISE(ABORT, 'packets are never changed'); END""",
    """CREATE TRIGGER packets_receipted BEFORE UPDATE OF raw ON packets WHEN NEW.raw IS NULL AND NOT EXISTS
        (SELECT 1 FROM outbox WHERE packet_id = NEW.packet_id AND receipt IS NOT NULL)
        BEGIN SELECT RAISE(ABORT, 'a packet without a receipt keeps its bytes'); END""",
    # Where the chain may go on with a jump: after the restore of a backup, numbers must not be used twice.
    """CREATE TABLE epochs (
        epoch INTEGER PRIMARY KEY,
        chain_id TEXT NOT NULL,
        first_seq INTEGER NOT NULL,
        after_seq INTEGER NOT NULL,
        after_sha256 TEXT NOT NULL,
        reason TEXT NOT NULL,
        opened_utc TEXT NOT NULL)""",
    """CREATE TABLE custody (
        n INTEGER PRIMARY KEY,
        entry BLOB NOT NULL,
        sha256 TEXT NOT NULL,
        keyid TEXT NOT NULL,
        signature BLOB NOT NULL)""",
    """CREATE TRIGGER custody_stays BEFORE DELETE ON custody
        BEGIN SELECT RAISE(ABORT, 'custody entries are never deleted'); END""",
    """CREATE TRIGGER custody_fixed BEFORE UPDATE ON custody
        BEGIN SELECT RAISE(ABORT, 'custody entries are never changed'); END""",
    """CREATE TABLE seizures (
        seizure_ref TEXT PRIMARY KEY,
        seq INTEGER NOT NULL REFERENCES packets (seq),
        opened_utc TEXT NOT NULL,
        officer_ref TEXT NOT NULL,
        site_ref TEXT NOT NULL,
        place TEXT NOT NULL,
        mode TEXT NOT NULL,
        note TEXT NOT NULL)""",
    """CREATE TABLE items (
        item_ref TEXT PRIMARY KEY,
        seizure_ref TEXT NOT NULL REFERENCES seizures (seizure_ref),
        seq INTEGER NOT NULL REFERENCES packets (seq),
        added_utc TEXT NOT NULL,
        label TEXT NOT NULL,
        container TEXT NOT NULL,
        declared TEXT NOT NULL)""",
    "CREATE INDEX items_of_seizure ON items (seizure_ref, item_ref)",
    """CREATE TABLE spectra (
        sha256 TEXT NOT NULL,
        seq INTEGER NOT NULL REFERENCES packets (seq),
        PRIMARY KEY (sha256, seq)) WITHOUT ROWID""",
    """CREATE TABLE outbox (
        packet_id TEXT PRIMARY KEY REFERENCES packets (packet_id),
        seq INTEGER NOT NULL UNIQUE,
        urgent INTEGER NOT NULL DEFAULT 0,
        state TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'sending', 'received', 'attention')),
        tries INTEGER NOT NULL DEFAULT 0,
        next_try_utc TEXT,
        reason TEXT NOT NULL DEFAULT '',
        code TEXT NOT NULL DEFAULT '',
        receipt BLOB,
        received_utc TEXT)""",
    "CREATE INDEX outbox_open ON outbox (urgent DESC, seq) WHERE state <> 'received'",
    """CREATE TABLE answers (
        n INTEGER PRIMARY KEY,
        answer_id TEXT NOT NULL UNIQUE,
        raw BLOB NOT NULL,
        sha256 TEXT NOT NULL,
        stored_utc TEXT NOT NULL,
        late INTEGER NOT NULL,
        shown_utc TEXT,
        shown BLOB,
        shown_sent INTEGER NOT NULL DEFAULT 0,
        superseded_by TEXT)""",
    """CREATE TABLE answer_packets (
        answer_id TEXT NOT NULL,
        packet_id TEXT NOT NULL,
        PRIMARY KEY (answer_id, packet_id)) WITHOUT ROWID""",
    """CREATE TABLE trust (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        raw TEXT NOT NULL,
        enrolled_utc TEXT NOT NULL)""",
    "CREATE TABLE sync_state (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE damaged (packet_id TEXT PRIMARY KEY, found_utc TEXT NOT NULL, reason TEXT NOT NULL)",
    "CREATE TABLE device (id INTEGER PRIMARY KEY CHECK (id = 1), device_id TEXT NOT NULL)",
    "CREATE TABLE keys (keyid TEXT PRIMARY KEY, public BLOB NOT NULL, since_utc TEXT NOT NULL)",
    """CREATE TABLE trusted_time (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        latest_utc TEXT,
        compared_utc TEXT,
        compared_monotonic_ns INTEGER,
        compared_boot_id TEXT,
        seen_utc TEXT,
        seen_monotonic_ns INTEGER,
        seen_boot_id TEXT)""",
    "INSERT INTO trusted_time (id) VALUES (1)",
)

# Checks of the instruments; the bytes that were signed never change and never go.
_CHECKS: Final = (
    """CREATE TABLE checks (
        ipv_id TEXT NOT NULL UNIQUE,
        serial TEXT NOT NULL,
        made_utc TEXT NOT NULL,
        outcome TEXT NOT NULL CHECK (outcome IN ('passed', 'failed', 'skipped')),
        raw BLOB NOT NULL,
        sha256 TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'received', 'attention')),
        tries INTEGER NOT NULL DEFAULT 0,
        next_try_utc TEXT,
        code TEXT NOT NULL DEFAULT '',
        reason TEXT NOT NULL DEFAULT '',
        receipt BLOB,
        received_utc TEXT)""",
    "CREATE INDEX checks_open ON checks (state) WHERE state <> 'received'",
    """CREATE TRIGGER checks_stay BEFORE DELETE ON checks
        BEGIN SELECT RAISE(ABORT, 'records of checks are never deleted'); END""",
    """CREATE TRIGGER checks_fixed BEFORE UPDATE OF ipv_id, serial, made_utc, outcome, raw, sha256 ON checks
        BEGIN SELECT RAISE(ABORT, 'records of checks are never changed'); END""",
)

# Statements that bring a store from version n to n + 1, n being the place here. Only ever appended to.
STEPS: Final[tuple[tuple[str, ...], ...]] = (_FIRST, _CHECKS)
