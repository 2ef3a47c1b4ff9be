"""The 32 faults between tablet, server and laboratory: what must happen, the tests, and what guards what."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from tests.faults.guards import Guard
from tests.faults.rows import Room, Row, Shown

__all__ = ["GUARDS", "ROOM", "ROWS"]

_HERE = "tests/reachback/faults/"


# --- guards ------------------------------------------------------------------------------------------------


def _returns(value: Any) -> Callable[[], Any]:
    """Puts a function in its place that does nothing and returns this."""
    return lambda: lambda *_, **__: value


def _value(value: Any) -> Callable[[], Any]:
    return lambda: value


def _untranslated() -> Any:
    @contextlib.contextmanager
    def translated(self: Any) -> Iterator[None]:
        yield

    return translated


def _clash() -> Any:
    from spectralid.reachback.tablets.storing import Clash

    return lambda self, there: Clash(there["seq"], there["packet_id"])


def _active_anyway() -> Any:
    import sqlalchemy as sa

    from spectralid.reachback.store.tables import devices

    state = sa.literal("active").label("state")
    some = devices.c.device_id.in_(sa.bindparam("some", expanding=True))
    return sa.select(devices.c.device_id, state, devices.c.site_ref).where(some)


def _keys_anyway() -> Any:
    return classmethod(lambda cls, db, tx, device: cls(db, device))


def _raw_as_it_is() -> Any:
    import sqlalchemy as sa

    from spectralid.reachback.store.tables import packets

    def raw_of(tx: Any, device_id: str, seq: int) -> bytes:
        where = (packets.c.device_id == device_id, packets.c.seq == seq)
        return bytes(tx.execute(sa.select(packets.c.raw).where(*where)).scalar_one())

    return raw_of


def _not_aside() -> Any:
    def aside(self: Any, error: Exception, packet: Any) -> None:
        raise error

    return aside


def _any_lease() -> Any:
    from spectralid.reachback.caseload import cases

    return lambda tx, case_id, token, chemist, *, now: cases.get(tx, case_id)


def _no_draft() -> Any:
    @contextlib.contextmanager
    def keeping_draft(*_: Any, **__: Any) -> Iterator[None]:
        yield

    return keeping_draft


def _believed() -> Any:
    from spectralid.casework import messages

    return lambda raw, trust: messages.kept(raw, messages.Receipt)


def _goes_on() -> Any:
    from spectralid.casework.errors import StoreError

    return lambda self, error: StoreError(f"not stored ({error}).")


def _never_polls() -> Any:
    async def poll(self: Any) -> None:
        import asyncio

        await asyncio.Event().wait()

    return poll


_CHECKED = "tests/tablet/test_instrument_check.py::"
_HELD = Guard(
    "the token of a part",
    "a worker whose part was given to another stores nothing of it",
    {"spectralid.reachback.research.runs:_is_held": _returns(True)},
)
_VERIFIED = Guard(
    "what a failed check changes",
    "a result of an instrument that is not verified is escalated",
    {"spectralid.verdict.deciding:_Case._on_instrument": _returns(None)},
)
_TRANSACTION = Guard(
    "one transaction",
    "packet, case, audit entry and receipt are stored together or not at all",
    {"spectralid.reachback.store.database:_sqlite_begin": _returns(None)},
)
_REPLAY = Guard(
    "the same receipt again",
    "bytes that are here already get the receipt that they got before",
    {
        "spectralid.reachback.tablets.ingest:_Ingest._replay": _returns(None),
        "spectralid.reachback.tablets.storing:_Group._replay": _clash,
    },
)
_SAID_BEFORE = Guard(
    "503 in place of the driver's error",
    "a database that goes away is 'try again', never a failure of the request for good",
    {"spectralid.reachback.store.database:Database._translated": _untranslated},
)
_FULL = Guard(
    "a full disk is told from a busy one",
    "507, so that somebody makes room",
    {"spectralid.reachback.store.database:_FULL": _value(())},
)
_BALLAST = Guard(
    "the tablet's ballast",
    "room is kept back so that a full disk can still be emptied",
    {"spectralid.casework.ballast:Ballast.release": _returns(False)},
)
_STOPPED = Guard(
    "nothing is stored after a failed sync",
    "what the system thinks is on the disk may not be",
    {"spectralid.casework.store:CaseStore._failed": _goes_on},
)
_HASHED = Guard(
    "hash on reading",
    "a packet is compared with its SHA-256 whenever it is read",
    {"spectralid.reachback.store.copies:raw_of": _raw_as_it_is},
)
_SCRUB = Guard(
    "scrub",
    "every packet is compared with what its receipt vouches for",
    {"spectralid.reachback.tablets.scrub:_check": lambda: lambda *_: []},
)
_MEND = Guard(
    "the sound copy is kept",
    "a packet handed over again takes the place of its damaged row",
    {"spectralid.reachback.store.copies:mend": _returns(False)},
)
_REVISIONS = Guard(
    "the version of a database is asked",
    "one made by a newer version is refused and left alone",
    {"spectralid.reachback.store.migrate:revisions": _returns(())},
)
_STORE_VERSION = Guard(
    "the version of a store is asked",
    "one of a newer version, or no store at all, is refused and left alone",
    {"spectralid.casework.store:CaseStore._refuse_version": _returns(None)},
)
_TOTAL = Guard(
    "a limit for a request as a whole",
    "a line that brings a byte now and then is given up",
    {"spectralid.casework.endpoint:_Line._too_long": _returns(None)},
)
_ASIDE = Guard(
    "what cannot be taken in is put aside",
    "both bodies of one number are kept, and it is on record",
    {"spectralid.reachback.tablets.ingest:_Ingest._aside": _not_aside},
)
_SIGNED = Guard(
    "only a signed receipt counts",
    "no page, proxy or status code ends the sending",
    {"spectralid.casework.messages:parse_receipt": _believed},
)
_JUDGED = Guard(
    "the clock is judged",
    "each packet says what the time in it is worth",
    {"spectralid.casework.clock:TrustedTime.judge": _returns(("synced", ()))},
)
_RATCHET = Guard(
    "trusted time is learnt from the server",
    "from signed messages, and only forward",
    {"spectralid.casework.clock:TrustedTime.advance": _returns(False)},
)
_ACTIVE = Guard(
    "a revoked tablet is not let in",
    "asked before and again within the transaction",
    {
        "spectralid.reachback.tablets.enrolled:Keys.of_active": _keys_anyway,
        "spectralid.reachback.tablets.storing:_DEVICES": _active_anyway,
    },
)
_TOKEN = Guard(
    "fencing token",
    "who no longer has a case does not write over who has it",
    {"spectralid.reachback.caseload.leases:check": _any_lease},
)
_DRAFT = Guard(
    "the draft is kept",
    "what was written under a lease that ended is not lost",
    {"spectralid.reachback.caseload.leases:keeping_draft": _no_draft},
)
_LINKED = Guard(
    "linked seizures are told",
    "what the laboratory refutes for one is news for those linked to it",
    {"spectralid.reachback.tablets.answers:notify_linked": _returns(())},
)
_LATE = Guard(
    "late answers are marked",
    "whoever reads one knows that it is old",
    {"spectralid.casework.inbox:LATE": _value(timedelta.max)},
)
_POLL = Guard(
    "the poll",
    "notifications only wake it; it looks by itself every 5 s",
    {"spectralid.reachback.api.waiting:Waiting._poll": _never_polls},
)
_ASKED = Guard(
    "tablets are asked again",
    "after a restore, for all that may be lost",
    {"spectralid.reachback.tablets.answers:ask_again": _returns(None)},
)
_RENUMBER = Guard(
    "answers get numbers above those a tablet holds",
    "a number given out before the restore is not given to another answer",
    {"spectralid.reachback.tablets.answers:_renumber": _returns(None)},
)
_WITNESSES = Guard(
    "checkpoints held by tablets",
    "an end cut off, or a chain written anew, is seen against them",
    {"spectralid.reachback.store.audit:against": lambda: lambda *_: []},
)
_CHAINED = Guard(
    "the hash of each entry",
    "is made again and compared when the log is verified",
    {"spectralid.reachback.store.audit:_sha256": lambda: lambda row: row.get("sha256", "0" * 64)},
)
_DEADLY = Guard(
    "a strip counts by itself",
    "a positive one for what kills in traces makes the case urgent, whatever the spectrum says",
    {"spectralid.reachback.tablets.projections:_deadly": _returns(False)},
)
_SPREAD = Guard(
    "pauses are spread",
    "300 tablets do not come back in the same second",
    {"spectralid.casework.outbox:Backoff.pause_s": lambda: lambda self, failures, jitter: 5.0},
)
_SATURATED = Guard(
    "saturation is looked for",
    "a spectrum with its top cut off is not judged",
    {"spectralid.identify.quality:_flat_top": _returns(0)},
)
_CONFLICT = Guard(
    "whether a strip is what the spectrum shows",
    "is compared with the families found, and a contradiction escalates",
    {"spectralid.verdict.strips:_Weighing._differs": _returns(False)},
)
_ENGINE = Guard(
    "the engine that a library needs",
    "is compared with the one that is here before anything is fetched",
    {"spectralid.library.update:version_numbers": _returns((0,))},
)
_SYNCED = Guard(
    "a library is on the disk before it is in force",
    "so that a power cut leaves the old or the new one",
    {"spectralid.library.update:_sync": _returns(None)},
)


# --- the table ---------------------------------------------------------------------------------------------

_KILL = _HERE + "test_kill_server.py::test_nothing_is_lost_or_doubled_by_killing_workers"
_DISK = _HERE + "test_disk_full.py::"
_FLIP = _HERE + "test_bit_flips.py::"
_NET = _HERE + "test_network.py::"
_DELIVER = _HERE + "test_delivery.py::"
_CLOCK = _HERE + "test_clocks.py::"
_TWO = _HERE + "test_two_chemists.py::"
_BACK = _HERE + "test_restored_backup.py::"
_CONTENT = _HERE + "test_content.py::"
_SYNC = "tests/casework/test_sync.py::"
_ENDPOINT = "tests/casework/test_endpoint.py::"
_POWER = "tests/casework/powercut/"
_UPDATE = "tests/reachback/test_library_update.py::"
_RESEARCH = "tests/reachback/test_research_once.py::"
_AUDIT = "tests/reachback/test_audit.py::"
_LAB = "tests/reachback/test_laboratory.py::"

ROWS: tuple[Row, ...] = (
    Row(
        1,
        "kill -9 of the device at a random point of capture, commit, send or receipt",
        "an acknowledged scan is there once; another is there whole or not at all",
        (
            _POWER + "test_kill.py::test_nothing_acknowledged_is_lost_to_a_kill",
            "tests/casework/test_exchange_killed.py::test_a_tablet_killed_at_any_moment",
        ),
        controls=(_POWER + "test_power_cuts.py::test_a_guard_taken_away_is_noticed",),
    ),
    Row(
        2,
        "kill -9 of a server's worker before a commit, after it, before the reply",
        "the client asks again; one case",
        (
            _KILL,
            _HERE + "test_kill_serving.py::test_a_tablet_hands_over_to_a_server_that_keeps_dying",
            "tests/reachback/test_intake.py",
        ),
        (Shown(_TRANSACTION, _KILL + "[sqlite-few]"), Shown(_REPLAY, _KILL + "[sqlite-few]")),
    ),
    Row(
        3,
        "kill -9 of PostgreSQL's postmaster, or of one of its processes",
        "503 meanwhile; back within 30 s; nothing acknowledged is lost",
        (_HERE + "test_kill_database.py",),
        (
            Shown(
                _SAID_BEFORE,
                _HERE + "test_kill_database.py::test_processes_of_the_database_killed_at_any_statement",
            ),
        ),
    ),
    Row(
        4,
        "power cut at every operation of a capture",
        "all or nothing, the file sound, nothing acknowledged lost",
        (
            _POWER + "test_power_cuts.py::test_nothing_acknowledged_is_lost_and_nothing_is_torn",
            _POWER + "test_model.py",
        ),
        controls=(_POWER + "test_power_cuts.py::test_a_guard_taken_away_is_noticed",),
    ),
    Row(
        5,
        "power cut during the recovery from a power cut",
        "the same",
        (_POWER + "test_power_cuts.py::test_a_power_cut_while_recovering_from_a_power_cut",),
        controls=(_POWER + "test_power_cuts.py::test_a_guard_taken_away_is_noticed",),
    ),
    Row(
        6,
        "disk of the tablet full at each write",
        "a clear message, never a false 'queued', ballast released, emptied once online",
        (
            "tests/casework/test_disk.py",
            _POWER + "test_full_and_failing_disk.py",
            _SYNC + "test_packets_leave_a_tablet_whose_disk_fails",
        ),
        (Shown(_BALLAST, "tests/casework/test_disk.py::test_full_at_each_write_of_a_capture"),),
    ),
    Row(
        7,
        "disk of the server full",
        "507, no receipt, nothing half-written",
        (_HERE + "test_disk_full.py",),
        (
            Shown(_FULL, _DISK + "test_full_in_the_midst_of_packets[sqlite]"),
            Shown(
                _TRANSACTION,
                _DISK + "test_full_at_each_page_of_a_packet_of_a_decision_and_of_an_answer",
            ),
        ),
        remark="SQLite with a limit on its pages, PostgreSQL with one on its files; the disk of PostgreSQL's "
        "log (WAL) full is a crash of PostgreSQL, row 3.",
    ),
    Row(
        8,
        "EIO on fsync, once or for ever",
        "no more acknowledgements, a read-only banner, no silent second try",
        (
            _POWER + "test_full_and_failing_disk.py"
            "::test_a_sync_that_fails_stops_the_store_and_nothing_is_tried_again",
            "tests/casework/test_disk.py::test_a_sync_that_fails_in_a_capture",
            "tests/casework/test_store.py::"
            "test_a_failed_sync_ends_all_writing_until_the_store_is_opened_again",
        ),
        (Shown(_STOPPED, "tests/casework/test_disk.py::test_a_sync_that_fails_in_a_capture"),),
    ),
    Row(
        9,
        "a bit flips in a stored packet",
        "the hash finds it on reading and by scrubbing; a sound copy is asked of the tablet",
        (
            _HERE + "test_bit_flips.py",
            _POWER + "test_scrub.py",
            "tests/casework/test_store.py::test_a_flipped_bit_is_found_on_reading_and_told",
        ),
        (
            Shown(_HASHED, _FLIP + "test_a_damaged_packet_is_never_handed_out_as_sound[sqlite]"),
            Shown(_SCRUB, _FLIP + "test_wherever_it_is[sqlite-40]"),
            Shown(_MEND, _FLIP + "test_it_is_found_asked_for_again_and_read_from_the_sound_copy[sqlite]"),
        ),
    ),
    Row(
        10,
        "malformed, older or newer database",
        "refused and left alone, the packets can be copied out; older ones are migrated after a copy",
        (
            "tests/reachback/test_database.py::test_a_newer_database_is_refused_and_left_alone",
            "tests/reachback/test_database.py::test_an_older_database_is_migrated_with_what_it_holds",
            _FLIP + "test_packets_are_copied_out_of_a_database_of_whatever_version",
            "tests/casework/test_store.py::test_a_file_that_is_no_store_is_refused_and_left_alone",
            "tests/casework/test_store.py::test_an_older_store_is_backed_up_and_brought_up_to_date",
            "tests/casework/test_store.py::test_rescue_gives_the_sound_packets_of_a_damaged_store",
        ),
        (
            Shown(
                _REVISIONS,
                "tests/reachback/test_database.py::test_a_newer_database_is_refused_and_left_alone[sqlite]",
            ),
            Shown(
                _STORE_VERSION,
                "tests/casework/test_store.py::test_a_file_that_is_no_store_is_refused_and_left_alone",
            ),
        ),
    ),
    Row(
        11,
        "network: refused, black hole, RST in the body, a byte now and then, sliced, 64 KiB, late reply",
        "pauses and tries again, idempotent; the officer's screen is never held up",
        (
            _HERE + "test_network.py",
            _SYNC + "test_after_any_fault_everything_arrives_once",
            _ENDPOINT + "test_what_may_work_later_is_tried_later",
        ),
        (
            Shown(_TOTAL, _NET + "test_nothing_is_lost_and_the_line_pauses[one byte now and then]"),
            Shown(_REPLAY, _NET + "test_a_reply_that_comes_too_late_is_not_waited_for"),
        ),
    ),
    Row(
        12,
        "reply lost after the commit",
        "the same receipt again, byte for byte",
        (
            _NET + "test_a_reply_lost_after_the_commit_comes_again_byte_for_byte",
            _DELIVER + "test_a_receipt_is_the_same_byte_for_byte_for_ever",
            _SYNC + "test_a_reply_lost_after_the_commit_ends_with_the_same_receipt",
        ),
        (
            Shown(_REPLAY, _NET + "test_a_reply_lost_after_the_commit_comes_again_byte_for_byte"),
            Shown(_REPLAY, _DELIVER + "test_a_receipt_is_the_same_byte_for_byte_for_ever[sqlite]"),
        ),
    ),
    Row(
        13,
        "duplicated and reordered, by USB stick and HTTPS",
        "one packet each, the chain in its order",
        (
            _DELIVER + "test_duplicated_and_reordered_by_stick_and_line",
            "tests/casework/test_exchange.py::test_stick_and_https_mixed_give_one_result",
            "tests/casework/test_exchange_at_random.py::test_every_story_ends_well",
            "tests/reachback/test_ingest.py::test_gaps_are_noticed_listed_split_and_filled",
        ),
        (Shown(_REPLAY, _DELIVER + "test_duplicated_and_reordered_by_stick_and_line[sqlite-0]"),),
    ),
    Row(
        14,
        "the same key or number, another body",
        "422, on record, both kept",
        (
            _DELIVER + "test_one_number_two_bodies",
            "tests/reachback/test_ingest.py::test_a_key_of_another_body_is_refused_and_the_body_kept",
            "tests/reachback/test_ingest.py::test_a_name_used_for_another_packet_is_refused_and_both_kept",
        ),
        (Shown(_ASIDE, _DELIVER + "test_one_number_two_bodies[sqlite]"),),
    ),
    Row(
        15,
        "captive portal, or TLS interception that returns 200 and HTML",
        "what is not signed is no receipt; it stays queued",
        (
            _NET + "test_nothing_is_lost_and_the_line_pauses[a sign-in page]",
            _SYNC + "test_after_any_fault_everything_arrives_once",
            _ENDPOINT + "test_a_server_of_another_authority_gets_nothing",
            _ENDPOINT + "test_a_sign_in_page_is_no_confirmation_of_an_acknowledgement",
        ),
        (
            Shown(
                _SIGNED,
                _ENDPOINT + "test_what_may_work_later_is_tried_later[fault-receipt-not-trusted-link-None4]",
            ),
        ),
    ),
    Row(
        16,
        "clock a year ahead or behind, jumping, or of 1970",
        "trusted time only goes forward; the hour is the server's; the record is flagged",
        (
            _HERE + "test_clocks.py",
            "tests/casework/test_clock.py",
            _SYNC + "test_a_clock_that_jumps_does_not_stop_the_exchange",
            "tests/casework/test_retention.py::test_a_clock_set_forward_removes_nothing",
        ),
        (
            Shown(
                _JUDGED,
                _CLOCK + "test_the_hour_is_the_servers_and_the_record_is_flagged[sqlite-a year ahead]",
            ),
            Shown(
                _RATCHET,
                _CLOCK
                + "test_a_tablet_with_a_wrong_clock_gets_its_answer_and_learns_the_time[sqlite-a year ahead]",
            ),
        ),
    ),
    Row(
        17,
        "certificate of a tablet expired or revoked",
        "kept on the tablet, which says 'enrol again'; the stick works",
        (
            "tests/reachback/test_api_tls.py::"
            "test_a_revoked_tablet_is_told_to_enrol_again_and_keeps_its_packets",
            "tests/reachback/test_api_tls.py::test_a_tablet_whose_certificate_has_ended_is_told_so",
            _DELIVER + "test_a_revoked_tablet_by_line_and_by_stick",
            _SYNC + "test_an_expired_certificate_asks_for_enrolment",
            "tests/casework/test_exchange.py::test_a_tablet_that_has_to_be_enrolled_again_still_hands_over",
        ),
        (Shown(_ACTIVE, _DELIVER + "test_a_revoked_tablet_by_line_and_by_stick[sqlite]"),),
    ),
    Row(
        18,
        "library repository: rollback, freeze, mix, endless data, fast-forward, wrong key",
        "refused, the old library stays",
        tuple(
            _UPDATE + name
            for name in (
                "test_rollback_to_an_older_repository",
                "test_rollback_of_the_library_alone_by_who_has_the_online_keys",
                "test_freeze",
                "test_freeze_with_the_clock_set_back",
                "test_mix_and_match",
                "test_mix_of_snapshots",
                "test_endless_data",
                "test_endless_and_odd_files_on_a_stick",
                "test_fast_forward_is_recovered_from_by_new_keys",
                "test_signed_with_another_key",
            )
        ),
        controls=(_UPDATE + "test_freeze_with_the_clock_set_back",),
        remark="The other refusals are those of The Update Framework's own client (`tuf`).",
    ),
    Row(
        19,
        "power cut while a library is installed",
        "the old or the new one, never a mixture",
        (
            _UPDATE + "test_power_cut_at_each_step_of_an_installation",
            _UPDATE + "test_power_cut_at_each_step_of_publishing",
        ),
        (Shown(_SYNCED, _UPDATE + "test_power_cut_at_each_step_of_an_installation"),),
    ),
    Row(
        20,
        "a library that needs a newer engine",
        "refused before it is in force",
        (_UPDATE + "test_a_library_for_a_newer_engine_is_refused_before_it_is_fetched",),
        (
            Shown(
                _ENGINE,
                _UPDATE + "test_a_library_for_a_newer_engine_is_refused_before_it_is_fetched[usb]",
            ),
        ),
    ),
    Row(
        21,
        "two chemists and one case; a lease that ends while one writes; a browser that slept",
        "one decision; the other is told 409, and its draft is kept",
        (
            _HERE + "test_two_chemists.py",
            "tests/reachback/test_leases.py",
            "tests/reachback/test_at_random.py::test_stories_at_random",
        ),
        (
            Shown(_TOKEN, _TWO + "test_one_decision_when_the_lease_ends_while_somebody_writes[sqlite]"),
            Shown(_DRAFT, _TWO + "test_one_decision_when_the_lease_ends_while_somebody_writes[sqlite]"),
        ),
    ),
    Row(
        22,
        "a chemist answers, the laboratory refutes",
        "reopened; the device and linked seizures are told; the scoreboard counts it",
        (
            _LAB + "test_a_refuted_result_reopens_the_case_and_reaches_linked_seizures",
            _LAB + "test_the_same_report_twice_is_one_and_a_differing_one_has_to_say_that_it_corrects",
            "tests/reachback/test_scoreboard.py",
        ),
        (
            Shown(
                _LINKED,
                _LAB + "test_a_refuted_result_reopens_the_case_and_reaches_linked_seizures[sqlite]",
            ),
        ),
    ),
    Row(
        23,
        "an answer arrives while the tablet is away for 7 days",
        "shown when it is back, in order, marked as late, acknowledged once",
        (
            _HERE + "test_late_answers.py",
            "tests/casework/test_inbox.py",
            _SYNC + "test_answers_come_are_shown_and_acknowledged_once",
        ),
        (Shown(_LATE, _HERE + "test_late_answers.py::test_a_week_without_a_line[sqlite]"),),
    ),
    Row(
        24,
        "a worker of a re-search is killed; the library changes during a run",
        "it resumes; each scan and library version is evaluated once in effect",
        (
            _RESEARCH + "test_workers_killed_at_random_lose_and_double_nothing",
            _RESEARCH + "test_a_worker_that_was_overtaken_stores_nothing",
            _RESEARCH + "test_a_part_is_one_workers_until_its_lease_is_out",
            _RESEARCH + "test_it_resumes_where_it_stopped",
            _RESEARCH + "test_a_library_that_changes_during_a_run",
        ),
        (Shown(_HELD, _RESEARCH + "test_a_part_is_one_workers_until_its_lease_is_out[sqlite]"),),
    ),
    Row(
        25,
        "hostile HDF5, SPC, JCAMP, ZIP or JSON; a bomb of 1 GB; a million levels",
        "refused within 2 s and 512 MiB, the program unharmed",
        (
            "tests/reachback/test_ingest.py::test_a_vendors_file_is_kept_and_not_opened",
            "tests/reachback/test_ingest.py::test_bodies_of_any_shape_end_in_a_typed_refusal",
            "tests/casework/test_manifest.py::test_hostile_text_costs_linear_time",
            "tests/casework/test_packet.py::test_any_bytes_are_refused_as_a_packet",
            "tests/library/test_unpack.py::test_a_bomb_is_stopped_by_what_comes_out_of_it",
            "tests/io/test_jcamp_fuzz.py",
            "tests/test_sandbox.py",
            "tests/fuzz/test_fuzz.py",
        ),
        remark="The server stores vendors' files and does not open them. HDF5 is read in a process of its "
        "own, with limits on memory and time.",
    ),
    Row(
        26,
        "NaN, infinity, constant, saturated, empty, an axis that falls, a point twice",
        "refused or judged by type, with the advice to scan again; kept as evidence",
        (
            _HERE + "test_content.py",
            "tests/identify/test_quality.py",
            "tests/test_spectrum.py::test_what_is_no_spectrum_is_refused_with_a_sentence",
            "tests/test_spectrum.py::test_repeated_axis_values_only",
        ),
        (Shown(_SATURATED, "tests/identify/test_quality.py::test_a_flat_top_is_saturation"),),
    ),
    Row(
        27,
        "3 and 10 times as much for a time; an hour's outage, then 300 tablets at once",
        "spread pauses, no storm of 5xx, by deadline, drained within 15 min",
        (
            _SYNC + "test_pauses_double_up_to_a_limit_and_are_spread",
            "tests/reachback/test_api_device.py::test_a_tablet_has_its_share_and_no_other_pays_for_it",
            "tests/reachback/test_leases.py::test_the_queue_is_by_deadline_and_then_by_danger",
            "tests/reachback/test_year.py",
        ),
        (Shown(_SPREAD, _SYNC + "test_pauses_double_up_to_a_limit_and_are_spread"),),
        remark="The herd of 300 and the year are measured by benchmarks/reachback/ (docs/reachback-load.md).",
    ),
    Row(
        28,
        "an audit row edited or deleted, the end cut off, the chain written anew",
        "the verifier names the row; an end cut off is seen from a checkpoint that a tablet holds",
        (_AUDIT.removesuffix("::"),),
        (
            Shown(_CHAINED, _AUDIT + "test_an_edited_entry_is_named[sqlite-facts]"),
            Shown(
                _WITNESSES,
                _AUDIT + "test_an_end_that_was_cut_off_is_seen_by_what_the_tablet_holds[sqlite]",
            ),
            Shown(
                _WITNESSES,
                _AUDIT + "test_a_chain_written_anew_is_seen_by_what_the_tablet_holds[sqlite]",
            ),
        ),
    ),
    Row(
        29,
        "the daily check of an instrument fails, or is skipped",
        "results are marked 'instrument not verified', and escalate or are held by policy",
        (
            _CHECKED + "test_a_failed_check_marks_every_later_result",
            _CHECKED + "test_a_check_is_skipped_knowingly_with_a_reason_or_not_at_all",
            _CHECKED + "test_another_unit_is_not_passed_by_it",
            "tests/reachback/test_api_device.py::test_a_daily_check_is_kept_once",
        ),
        (Shown(_VERIFIED, _CHECKED + "test_a_failed_check_marks_every_later_result"),),
    ),
    Row(
        30,
        "strip positive and spectrum negative, or the other way round",
        "shown as a conflict, escalates, never averaged away",
        (
            "tests/verdict/test_strips.py::test_every_pair_of_strip_and_spectrum",
            "tests/verdict/test_strips.py::test_a_conflict_keeps_the_weight_as_it_is",
            "tests/verdict/test_item.py::test_a_negative_strip_takes_no_alarm_away",
            _CONTENT + "test_a_positive_strip_against_a_harmless_spectrum_goes_to_two_persons",
            _CONTENT + "test_a_negative_strip_takes_nothing_from_a_dangerous_spectrum",
        ),
        (
            Shown(
                _CONFLICT,
                "tests/verdict/test_strips.py::test_every_pair_of_strip_and_spectrum[negative, shown]",
            ),
            Shown(
                _DEADLY,
                _CONTENT
                + "test_a_positive_strip_against_a_harmless_spectrum_goes_to_two_persons[sqlite-scan first]",
            ),
        ),
    ),
    Row(
        31,
        "the connection that hears notifications is cut; a notification is lost",
        "found by the poll within 5 s",
        (
            _HERE + "test_listen.py",
            "tests/reachback/test_api_device.py::test_a_lost_notification_is_made_up_for",
        ),
        (
            Shown(
                _POLL,
                _HERE + "test_listen.py::"
                "test_an_answer_is_found_when_the_listening_connection_was_cut[postgresql]",
            ),
        ),
    ),
    Row(
        32,
        "the server's database restored from yesterday's backup",
        "tablets hand over again what they hold receipts for; gaps are told; nothing twice",
        (
            _HERE + "test_restored_backup.py",
            "tests/reachback/test_tablet_and_server.py::test_a_server_that_lost_everything_gets_it_back",
            _SYNC + "test_a_server_that_says_what_it_lost_gets_it_again",
            _SYNC + "test_a_log_that_went_back_gets_everything_that_is_still_here",
        ),
        (
            Shown(_ASKED, _BACK + "test_what_the_backup_lacks_is_asked_for_and_comes_once"),
            Shown(_RENUMBER, _BACK + "test_answers_given_since_the_backup_keep_their_numbers"),
        ),
    ),
)

ROOM = Room(
    "reachback",
    "Tablet, reachback, laboratory",
    "*Tablet* is the real one (`spectralid.casework`), *server* the real one with TLS, on SQLite and "
    "PostgreSQL; between them, in the faults of the network, a proxy of TCP that sees bytes only "
    "(`tests/reachback/faults/proxy.py`). Each guard is taken away once, too: its test must fail then, or it "
    "shows nothing.",
    ROWS,
)

GUARDS: tuple[Guard, ...] = tuple(dict.fromkeys(shown.guard for row in ROWS for shown in row.shown))
