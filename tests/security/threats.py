"""Who may try what, what stands in the way, which test shows it, and what is left.

Numbers 1 to 20 are those of the specification; 21 and on were added. ``python -m tests.security.report`` runs the
tests without their controls and writes docs/threat-model.md; ``test_threats.py`` holds page and data together.
"""

# ruff: noqa: E501 – prose of a page, a paragraph a line.

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from tests.faults import reachback
from tests.faults.guards import Guard
from tests.faults.rows import Shown

__all__ = ["THREATS", "Threat"]


@dataclass(frozen=True)
class Threat:
    """Something somebody may try.

    Attributes
    ----------
    number : int
        In the list.
    words : str
        What is tried.
    control : str
        What stands in the way.
    tests : tuple of str
        Node ids of the tests that show it; a file for all in it.
    shown : tuple of Shown
        Controls that are taken away, and the tests that fail then.
    controls : tuple of str
        Tests that take a control away, or plant the harm, themselves.
    rest : str
        What is left: what the control does not do.
    """

    number: int
    words: str
    control: str
    tests: tuple[str, ...]
    shown: tuple[Shown, ...] = ()
    controls: tuple[str, ...] = ()
    rest: str = ""


def _returns(value: Any) -> Callable[[], Any]:
    return lambda: lambda *_, **__: value


def _is_true() -> Any:
    return lambda *_, **__: True


def _nobody_limits() -> Any:
    return lambda self, name: 0.0


def _shown_there(number: int) -> tuple[Shown, ...]:
    """What the list of faults shows for one of its rows."""
    return next(row.shown for row in reachback.ROWS if row.number == number)


def _any_place() -> Any:
    return lambda member: PurePosixPath(member.filename.replace("..", "").strip("/") or "x")


def _as_it_is() -> Any:
    return lambda self, said: dict(said)


def _plainly() -> Any:
    return lambda text: text


def _unsigned() -> Any:
    return lambda library, trusted: library


def _formula() -> Any:
    return lambda value: "" if value is None else str(value)


_T = "tests/"
_FIELD = _T + "casework/"
_SERVER = _T + "reachback/"
_UPDATE = _SERVER + "test_library_update.py::"
_DOOR = _T + "tablet/test_doorman.py::"
_USE = _T + "security/test_before_use.py::"
_PICKLE = _T + "security/test_no_pickle.py::"
_ACCOUNTS = _SERVER + "test_api_accounts.py::"
_DEVICE = _SERVER + "test_api_device.py::"
_INGEST = _SERVER + "test_ingest.py::"

_SIGNATURE = Guard(
    "signature of a packet",
    "every byte of a packet is signed by the tablet's key",
    {"spectralid.casework.keys:PublicKey.verify": _returns(None)},
)
_GAPS = Guard(
    "gapless numbers",
    "a number that does not come is noted",
    {"spectralid.reachback.tablets.storing:_Group._note_gap": _returns(None)},
)
_WHOLE = Guard(
    "what was fetched is looked at",
    "a signed file that is no whole library is not installed",
    {"spectralid.library.update:_check": _returns(None)},
)
_OVERDUE = Guard(
    "age is told",
    "a library nobody vouches for any more says so, and goes on identifying",
    {"spectralid.library.installed:Installed.is_overdue": _returns(False)},
)
_SITES = Guard(
    "places of a person",
    "what is of another place is not there",
    {"spectralid.reachback.api.access:Actor.sees": _is_true},
)
_FORMULA = Guard(
    "cells that are no formulas",
    "a text that a spreadsheet would run starts with an apostrophe",
    {"spectralid.reachback.csv_out:harmless": _formula},
)
_PAUSE = Guard(
    "pause after failures",
    "an account waits longer after each wrong password",
    {"spectralid.reachback.people.sessions:_see_no_pause": _returns(None)},
)
_BUCKETS = Guard(
    "token buckets",
    "each tablet has its share, and no other pays for it",
    {"spectralid.reachback.api.limits:Buckets.take": _nobody_limits},
)
_REDACTED = Guard(
    "redaction",
    "exports carry what is on a list of harmless fields, and nothing else",
    {"spectralid.reachback.redaction:Redactor.manifest": _as_it_is},
)
_NAMES = Guard(
    "names in archives",
    "a member whose name leads elsewhere refuses the whole archive",
    {"spectralid.library.unpack:_place": _any_place},
)
_LOCAL = Guard(
    "names of this machine",
    "a request for any other host name is not served",
    {"spectralid.tablet.doorman:_is_local": _is_true},
)
_COOKIE = Guard(
    "the cookie",
    "only the browser that opened the printed address is let in",
    {"spectralid.tablet.doorman:Doorman._knows": _is_true},
)
_NEEDS = Guard(
    "the engine a file needs",
    "what needs a newer program is refused",
    {
        f"spectralid.{room}:engine_problem": _returns("")
        for room in (
            "library.store", "calibration._envelope", "devices.profile", "verdict.policy_file",
            "identify.instrument_model",
        )
    },
)  # fmt: skip
_VOUCHED = Guard(
    "trusted keys",
    "where keys are trusted, a file of one's own is signed by one of them",
    {"spectralid.vouching:TrustedKeys.vouch": _returns("")},
)
_VERIFIED = Guard(
    "a signature is checked",
    "and not only who it says it is of",
    {"spectralid.vouching:TrustedKeys.verify": _returns("")},
)
_LIBRARY = Guard(
    "who vouches for a library",
    "asked before a tablet begins",
    {"spectralid.library.signing:vouch_library": _unsigned},
)
_PLAIN = Guard(
    "what is printed is plain",
    "control characters are spelled out",
    {"spectralid.cli._plain:plain": _plainly},
)
_DIGEST = Guard(
    "checksums of a library",
    "every value is compared with its checksum before it is used",
    {"spectralid.library.store:ReferenceLibrary._checked": lambda: lambda self, name: self.raw(name)},
)

THREATS: tuple[Threat, ...] = (
    Threat(
        1,
        "A tablet is stolen, or lost and found.",
        "Each tablet has a key of its own, readable by its owner only. The agency revokes it: nothing it sends "
        "afterwards is taken on the line. The bundled library holds no secret.",
        (
            _SERVER + "test_api_case.py::test_a_tablet_is_enrolled_looked_at_and_revoked",
            _INGEST + "test_nothing_signed_with_a_stolen_key_is_taken",
            _INGEST + "test_a_revoked_device_is_refused_on_the_line_and_its_stick_is_taken",
            _FIELD + "test_store.py::test_a_key_that_others_can_read_is_refused",
        ),
        _shown_there(17),
        rest="The key lies in a file, not in the machine's key store. Who has the disk and no disk encryption has "
        "key and records: disk encryption is the agency's to switch on.",
    ),
    Threat(
        2,
        "A forged packet, or a device that is not ours.",
        "TLS with certificates of both sides; the packet is signed with the key that was enrolled, and the key "
        "must be that of the tablet whose line it is.",
        (
            _FIELD + "test_packet.py::test_no_byte_can_be_changed",
            _FIELD + "test_packet.py::test_only_a_trusted_key_counts",
            _INGEST + "test_signed_by_somebody_else",
            _INGEST + "test_one_device_does_not_hand_over_for_another",
            _SERVER + "test_api_tls.py::test_no_certificate_or_another_authoritys_does_not_get_through",
            _SERVER + "test_api_tls.py::test_the_signature_is_of_the_tablet_whose_line_it_is",
        ),
        (Shown(_SIGNATURE, _FIELD + "test_packet.py::test_no_byte_can_be_changed"),),
    ),
    Threat(
        3,
        "A packet is sent again, or twice under one number.",
        "Known by its SHA-256; one packet for each device and number. The same bytes get the same receipt.",
        (
            _SERVER + "faults/test_delivery.py",
            _INGEST + "test_the_same_bytes_get_the_same_receipt_whichever_way_they_come",
            _INGEST + "test_other_bytes_under_a_used_number_are_refused_and_both_kept",
        ),
        _shown_there(13),
    ),
    Threat(
        4,
        "A packet is held back or dropped.",
        "Numbers without gaps and the hash of the packet before: what is missing is noted and asked about.",
        (
            _INGEST + "test_gaps_are_noticed_listed_split_and_filled",
            _INGEST + "test_a_break_in_the_chain_is_on_record",
            _FIELD + "test_chain.py::test_a_deleted_packet_is_named",
        ),
        (Shown(_GAPS, _INGEST + "test_gaps_are_noticed_listed_split_and_filled[sqlite]"),),
        rest="The newest packets of a tablet that never comes back are unknown to the server.",
    ),
    Threat(
        5,
        "The tablet's clock is wrong or set back.",
        "Trusted time comes from signed messages and only goes on; each packet says what its time is worth; the "
        "hour is the server's.",
        (_SERVER + "faults/test_clocks.py", _FIELD + "test_clock.py"),
        _shown_there(16),
    ),
    Threat(
        6,
        "A malicious library update: rollback, freeze, mix, endless data, another key.",
        "The Update Framework: root 2 of 3 and releases 2 keys, kept offline; expiry; hashes and lengths. What "
        "arrives is opened and verified in full before it is in force. The library in force stays otherwise.",
        tuple(
            _UPDATE + name
            for name in (
                "test_rollback_to_an_older_repository",
                "test_freeze",
                "test_freeze_with_the_clock_set_back",
                "test_mix_and_match",
                "test_endless_data",
                "test_signed_with_another_key",
                "test_one_of_two_root_signatures",
                "test_a_library_with_a_byte_changed",
                "test_what_is_signed_and_is_no_library_is_refused",
                "test_a_library_for_a_newer_engine_is_refused_before_it_is_fetched",
            )
        ),
        (
            Shown(_WHOLE, _UPDATE + "test_what_is_signed_and_is_no_library_is_refused"),
            *_shown_there(20),
        ),
        (_UPDATE + "test_freeze_with_the_clock_set_back",),
        rest="The refusals of The Update Framework are those of its own client, which was not taken apart here.",
    ),
    Threat(
        7,
        "No line for longer than a release is vouched for.",
        "The last good library goes on identifying, says how old it is, and more is escalated.",
        (
            _UPDATE + "test_an_old_library_goes_on_identifying_and_says_its_age",
            _SERVER + "test_release.py::test_the_device_notices_when_nobody_vouches_any_more",
        ),
        (
            Shown(
                _OVERDUE,
                _SERVER + "test_release.py::test_the_device_notices_when_nobody_vouches_any_more[sqlite]",
            ),
        ),
    ),
    Threat(
        8,
        "Release numbers are driven up with stolen keys.",
        "New keys in a new root: what the old ones had signed is forgotten.",
        (
            _UPDATE + "test_fast_forward_is_recovered_from_by_new_keys",
            _UPDATE + "test_release_numbers_used_up_by_who_stole_the_key_of_releases",
        ),
        rest="Not taken away and tried: the recovery is the framework's (step 11 of its root update).",
    ),
    Threat(
        9,
        "An insider edits history.",
        "The database refuses changes; each entry holds the hash of the one before; signed checkpoints lie on "
        "every tablet in its receipts.",
        (
            _SERVER + "test_audit.py",
            _FIELD + "test_chain.py",
            _SERVER + "test_api_case.py::test_a_proof_ends_at_a_checkpoint_that_is_held_elsewhere",
        ),
        _shown_there(28),
        rest="Who has the server's key and every tablet's receipts can write a new history. No RFC 3161 time stamp "
        "is asked for.",
    ),
    Threat(
        10,
        "An insider poisons the library.",
        "Two persons approve, neither proposer nor decider nor reviewer; provenance is needed; a held-out set may "
        "not be answered worse; releases go out by and by.",
        (
            _SERVER + "test_candidates.py::test_neither_who_proposed_nor_who_decided_nor_who_reviewed",
            _SERVER + "test_candidates.py::test_two_others_approve",
            _SERVER + "test_release.py::test_a_poisoned_candidate_is_not_released",
            _SERVER + "test_regression.py",
        ),
        (
            Shown(
                Guard(
                    "the held-out set",
                    "a release that answers it worse is refused",
                    {"spectralid.reachback.releases.release:_refuse": _returns(None)},
                ),
                _SERVER + "test_release.py::test_a_poisoned_candidate_is_not_released[sqlite]",
            ),
        ),
        rest="Three librarians and chemists who agree can poison it, within what the held-out set does not ask.",
    ),
    Threat(
        11,
        "A file that breaks its parser or keeps it busy for ever.",
        "HDF5 from outside is read in a process of its own, with limits on memory, processor time, wall clock and "
        "files. All other parsers are Python, and fuzzed. The server opens no vendor's file at ingest.",
        (
            _T + "test_sandbox.py",
            _T + "fuzz/test_fuzz.py",
            _T + "library/test_damage.py",
            _INGEST + "test_a_vendors_file_is_kept_and_not_opened",
        ),
        controls=(
            _T + "test_sandbox.py::test_what_kills_its_reader_costs_one_file",
            _T + "test_sandbox.py::test_memory_is_limited",
        ),
        rest="The limits are those of POSIX: on Windows HDF5 is read in the program itself. There is no filter of "
        "system calls.",
    ),
    Threat(
        12,
        "A decompression bomb, or names that lead out of a folder.",
        "Size and number are limited while it is unpacked; a name that leads elsewhere refuses the whole archive; "
        "no name from an archive or a request becomes a path.",
        (
            _T + "library/test_unpack.py",
            _UPDATE + "test_a_name_cannot_lead_out_of_the_folder",
            _FIELD + "test_exchange.py::test_the_name_of_a_device_cannot_leave_the_stick",
        ),
        (
            Shown(
                _NAMES,
                _T + "library/test_unpack.py::"
                "test_a_name_that_leads_elsewhere_refuses_the_whole_archive[../evil.txt]",
            ),
        ),
    ),
    Threat(
        13,
        "A model file that is code.",
        "Models, calibrations and records are JSON, TOML, npz without pickles, HDF5 without objects. A test walks "
        "source and data, also packed, for anything else.",
        (_PICKLE.removesuffix("::"),),
        controls=(
            _PICKLE + "test_a_planted_line_is_found",
            _PICKLE + "test_a_planted_pickle_is_found",
            _PICKLE + "test_a_planted_cell_is_found",
        ),
        rest="Processes that the program starts itself for more speed exchange pickles with it.",
    ),
    Threat(
        14,
        "The server's web pages: other people's cases, forged requests, scripts in notes, formulas in tables.",
        "Each address asks for one right and for the place of the case; writes need a token of the session; texts "
        "are only ever text; nothing is loaded from elsewhere; cells are no formulas.",
        (
            _SERVER + "test_api_access.py",
            _SERVER + "test_api_case.py::test_a_case_of_another_place_is_not_there",
            _SERVER + "test_api_case.py::test_what_a_browser_is_told_about_itself",
            _ACCOUNTS + "test_a_write_from_another_page_is_refused",
            _SERVER + "console/test_console.py::test_hostile_words_are_words",
            _SERVER + "console/test_console.py::test_nothing_is_loaded_from_elsewhere",
            _SERVER + "test_laboratory_csv.py::test_no_cell_that_goes_out_is_a_formula",
        ),
        (
            Shown(_SITES, _SERVER + "test_api_case.py::test_a_case_of_another_place_is_not_there"),
            Shown(_FORMULA, _SERVER + "test_laboratory_csv.py::test_no_cell_that_goes_out_is_a_formula"),
        ),
    ),
    Threat(
        15,
        "Somebody takes over an account.",
        "Passwords by argon2id, a second factor (TOTP), longer pauses after failures, no account by default, "
        "sessions that end, tokens that end.",
        (_ACCOUNTS.removesuffix("::"),),
        (Shown(_PAUSE, _ACCOUNTS + "test_failures_make_an_account_wait_longer_each_time[sqlite]"),),
        rest="TOTP can be phished; WebAuthn is not built.",
    ),
    Threat(
        16,
        "A flood, or one who uses up everybody's share.",
        "A bucket for each tablet and one for all; bodies end at their limit while they are read; a body that "
        "does not go on ends; what is put aside is limited for each device.",
        (
            _DEVICE + "test_a_tablet_has_its_share_and_no_other_pays_for_it",
            _DEVICE + "test_a_body_that_grows_too_long_is_not_read_to_its_end",
            _DEVICE + "test_a_body_that_does_not_go_on_ends",
            _INGEST + "test_one_device_cannot_fill_the_disk_with_what_is_put_aside",
        ),
        (Shown(_BUCKETS, _DEVICE + "test_a_tablet_has_its_share_and_no_other_pays_for_it"),),
        rest="Floods below HTTP are for the network in front of the server.",
    ),
    Threat(
        17,
        "The log is lost or changed.",
        "An auditor's program reads the log and its checkpoints from another machine and proves one against the "
        "other. Times are UTC. Secrets are not in it.",
        (
            _SERVER + "test_api_case.py::test_an_auditor_reads_all_and_can_prove_it",
            _SERVER + "test_audit.py::test_an_end_that_was_cut_off_is_seen_by_what_the_tablet_holds",
            _SERVER + "test_api_serve.py::test_a_log_that_was_edited_is_found",
            _ACCOUNTS + "test_second_factors_are_not_readable_from_the_database_alone",
        ),
        _shown_there(28)[1:2],
        rest="Nothing sends the log elsewhere by itself: somebody has to fetch it (`GET /v1/audit`, "
        "`spectralid reachback admin checkpoint`). The programs' own messages go to standard error.",
    ),
    Threat(
        18,
        "Persons and places leak.",
        "Officers are pseudonyms in packets; exports hold only what a list allows; what goes into the library "
        "names nobody.",
        (
            _SERVER + "test_exports.py::test_no_name_that_anybody_wrote_is_in_a_redacted_export",
            _SERVER + "test_exports.py::test_a_redacted_manifest_keeps_what_names_nobody",
            _SERVER + "test_candidates.py::"
            "test_what_goes_into_the_library_names_no_person_and_is_what_was_measured",
        ),
        (
            Shown(
                _REDACTED,
                _SERVER
                + "test_exports.py::test_no_name_that_anybody_wrote_is_in_a_redacted_export[sqlite-json]",
            ),
        ),
        rest="Notes are free text, and photos are what they show: neither is in a redacted export, both are in "
        "the record. Which pseudonym is whom, is not kept by the program.",
    ),
    Threat(
        19,
        "The supply chain: a dependency, or what builds the program.",
        "Hashes are pinned for CI; a bill of materials; an audit of licences and of known faults; few dependencies.",
        (
            _T + "supply/test_lock.py",
            _T + "supply/test_sbom.py",
            _T + "supply/test_audit.py",
            _T + "supply/test_licences.py",
        ),
        controls=(
            _T + "supply/test_lock.py::test_a_changed_requirement_is_seen",
            _T + "supply/test_lock.py::test_what_is_not_pinned_is_seen",
        ),
        rest="Wheels of this project are not signed. A pinned package that was malicious when it was pinned stays so.",
    ),
    Threat(
        20,
        "Cryptography that a policy does not allow, or a weaker one that is accepted.",
        "Each signature names its algorithm, and only that of its key counts. TLS 1.2 and on, keys on P-256.",
        (
            _FIELD + "test_packet.py::test_the_algorithm_is_that_of_the_key",
            _T + "library/test_signing.py::test_another_algorithm_is_refused_before_anything_else",
            _SERVER + "test_api_tls.py::test_only_p256_gets_a_certificate",
            _USE + "test_signatures_that_are_none",
        ),
        rest="**Weak.** Packets, messages and files are signed with Ed25519 alone: ECDSA on P-256, which the "
        "specification has as the alternate, is not built. Whether the `cryptography` wheel can be a validated "
        "module was not looked into.",
    ),
    Threat(
        21,
        "A web site in the tablet's browser reaches the local page (DNS rebinding, cross-site requests).",
        "Only names of this machine are served; the cookie is strict and not for scripts; what changes anything "
        "needs a header that no form can set; nothing is loaded from elsewhere.",
        (_DOOR.removesuffix("::"),),
        (
            Shown(
                _LOCAL, _DOOR + "test_a_name_that_was_pointed_here_from_elsewhere_is_not_served[evil.example]"
            ),
        ),
    ),
    Threat(
        22,
        "Another user or program of the tablet opens the page, or reads the record.",
        "The address with its key is printed once and exchanged for a cookie; the server listens on this machine "
        "only; keys and the cookie's secret are readable by their owner only.",
        (
            _DOOR + "test_without_the_cookie_nothing_is_told",
            _T + "tablet/test_web.py::test_a_stranger_gets_nothing_but_a_sentence",
            _FIELD + "test_store.py::test_the_key_is_its_owners_only_and_names_the_device",
        ),
        (Shown(_COOKIE, _DOOR + "test_without_the_cookie_nothing_is_told[other=1]"),),
        rest="A program under the same account can do all that the officer can. Line and page are not encrypted "
        "on the way within the machine.",
    ),
    Threat(
        23,
        "A hostile USB stick.",
        "What it carries is signed, or refused file by file; sizes are limited; no name on it becomes a path.",
        (
            _FIELD + "test_exchange.py::test_bad_files_are_refused_one_by_one_and_the_rest_goes_on",
            _FIELD + "test_exchange.py::test_the_name_of_a_device_cannot_leave_the_stick",
            _UPDATE + "test_endless_and_odd_files_on_a_stick",
            _FIELD + "test_enrolment.py::test_a_stranger_does_not_take_a_tablet_over",
        ),
        (
            Shown(
                _SIGNATURE,
                _FIELD + "test_enrolment.py::test_a_changed_enrolment_is_refused",
            ),
        ),
        rest="A stick that is a keyboard, or attacks the file system's driver, is a matter of the operating system.",
    ),
    Threat(
        24,
        "An instrument, or what is on its serial line, lies or stops in the middle.",
        "Checksums, counts and states are compared; a laser not read back as off is an alarm that stays; another "
        "unit on the line is noticed; every protocol is fuzzed.",
        (
            _T + "devices/test_laser_off.py",
            _T + "devices/test_laser_off.py::test_exchanged_instrument_is_noticed",
            _T + "fuzz/test_fuzz.py",
        ),
        rest="An instrument that gives a plausible spectrum of something else is found by the daily check only. "
        "Software is no interlock.",
    ),
    Threat(
        25,
        "A laboratory's table with hostile cells, or far too many.",
        "Each line is taken or refused by itself, with its number; nothing but reports and sentences comes of any "
        "bytes; length is limited; only a laboratory's role may hand it in.",
        (
            _SERVER + "test_laboratory_csv.py",
            _SERVER + "test_api_laboratory.py::test_only_a_laboratory_records_results",
        ),
        (
            Shown(
                _FORMULA,
                _SERVER + "test_laboratory_csv.py::test_results_go_out_with_what_became_of_them[sqlite]",
            ),
        ),
    ),
    Threat(
        26,
        "A notebook.",
        "Those that come with spectralid are run by CI, use public names alone, and load no objects.",
        (
            _T + "notebooks/test_notebooks.py::test_only_public_names_are_used",
            _PICKLE + "test_no_notebook_does",
        ),
        controls=(_PICKLE + "test_a_planted_cell_is_found",),
        rest="A notebook from somebody else is a program. Do not open it on a tablet.",
    ),
    Threat(
        27,
        "Names and notes from outside that write on the screen, in the terminal or in logs.",
        "In pages texts are only ever text. What a command prints has control characters and turned writing "
        "spelled out. Words of the server reach the tablet without them.",
        (
            _T + "cli/test_plain.py",
            _T + "tablet/test_screens.py::test_hostile_texts_are_shown_and_never_run",
            _FIELD + "test_endpoint.py::test_the_servers_words_reach_the_screen_without_control_characters",
        ),
        (
            Shown(
                _PLAIN, _T + "cli/test_plain.py::test_a_hostile_file_says_what_it_is_called_and_no_more[info]"
            ),
        ),
        rest="From Python nothing is spelled out. Who lets a language model read records has to take every name and "
        "note in them for data: nothing here marks them.",
    ),
    Threat(
        28,
        "A damaged or exchanged installation.",
        "Wheels are installed by hash; the bundled library has its own checksums, looked at before each use.",
        (
            _USE + "test_the_bundled_files_are_those_of_their_manifest",
            _T + "supply/test_sbom.py::test_every_data_file_of_the_wheel_is_there",
            _T + "library/test_damage.py::test_any_flipped_byte_of_any_dataset_is_found",
        ),
        (Shown(_DIGEST, _USE + "test_one_bit_flipped_where_nobody_signed[library.h5]"),),
        rest="Who can write to the installed package can change the program itself: that is for the operating "
        "system. Bundled tables and texts are compared by the installer, not each time.",
    ),
    Threat(
        29,
        "A library, calibration, policy, profile or instrument model is exchanged, damaged, or too new.",
        "Each has a schema, a SHA-256 that is recorded with results, and may need an engine. Once a key is trusted "
        "(`spectralid trust`), files of one's own need its signature. What was in force stays in force.",
        (
            _USE.removesuffix("::"),
            _T + "verdict/test_policy_keeper.py",
            _T + "identify/test_family_model.py::test_a_model_that_was_changed_is_refused",
        ),
        (
            *(
                Shown(
                    _NEEDS,
                    _USE + "test_what_needs_a_newer_program_is_refused_and_what_needs_an_older_one_is_taken"
                    f"[{name}]",
                )
                for name in ("library.h5", "axis.json", "policy.toml", "profile.toml", "model.json")
            ),
            Shown(_VOUCHED, _USE + "test_where_a_key_is_trusted_what_is_not_signed_is_refused[policy.toml]"),
            Shown(_VOUCHED, _USE + "test_where_a_key_is_trusted_what_is_not_signed_is_refused[profile.toml]"),
            Shown(_VOUCHED, _USE + "test_a_policy_put_there_by_hand_is_not_used"),
            Shown(_VERIFIED, _USE + "test_signed_by_a_stranger[library.h5]"),
            Shown(_VERIFIED, _USE + "test_signed_by_a_stranger[axis.json]"),
            Shown(_VERIFIED, _USE + "test_signed_by_a_stranger[model.json]"),
            Shown(_LIBRARY, _USE + "test_a_tablet_does_not_begin_with_a_library_nobody_trusted_signed"),
        ),
        rest="Without a trusted key any whole file of one's own is taken; its hash is in every result, and a packet "
        "says that nobody vouches for the library. Who can remove the trusted keys ends the need for signatures: "
        "keep them in the machine's folder, which the officer's account cannot write to. A family model that is damaged, or of "
        "another version of spectralid, is not used, and the result does not say so.",
    ),
    Threat(
        30,
        "Somebody reaches the machines that search the archive.",
        "Dask runs what it is sent: a cluster is reached by TLS with certificates only, one on this machine too.",
        (_SERVER + "test_research_dask.py::test_whoever_has_no_certificate_reaches_no_cluster",),
        rest="Who has a certificate of the cluster can run programs on it.",
    ),
)
