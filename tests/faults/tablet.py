"""Faults of the officer's tablet: its record, program, screen, instrument, exchange and evidence."""

from __future__ import annotations

from tests.faults.rows import Room, Row

__all__ = ["ROOM"]

_HERE = "tests/tablet/test_faults.py::"
_SCREEN = "tests/tablet/test_screens.py::"
_WEB = "tests/tablet/test_web.py::"
_UNIT = "tests/tablet/test_unit.py::"
_STORE = "tests/casework/test_store.py::"
_CHAIN = "tests/casework/test_chain.py::"
_POWER = "tests/casework/powercut/"
_BACKUP = _POWER + "test_backup.py::"
_SYNC = "tests/casework/test_sync.py::"
_ENDPOINT = "tests/casework/test_endpoint.py::"
_STICK = "tests/casework/test_exchange.py::"
_INBOX = "tests/casework/test_inbox.py::"
_ENROL = "tests/casework/test_enrolment.py::"
_KEEP = "tests/casework/test_retention.py::"
_KEEPER = "tests/verdict/test_policy_keeper.py::"
_POLICY = "tests/verdict/test_policy_file.py::"
_STRIPS = "tests/verdict/test_strips.py::"
_DECLARED = "tests/verdict/test_declared.py::"
_ITEM = "tests/verdict/test_item.py::"
_DECIDE = "tests/verdict/test_decide.py::"
_WATCH = "tests/devices/test_watch_folder.py::"
_LASER = "tests/devices/test_laser_off.py::"


def _all(prefix: str, *names: str) -> tuple[str, ...]:
    return tuple(prefix + name for name in names)


_FAULTS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    # --- power, disk, program
    (
        "the battery of the tablet is flat: power cut at every operation of a capture",
        "nothing acknowledged is lost, nothing is there in part; a guard of the store taken away is noticed",
        (
            _POWER + "test_power_cuts.py::test_nothing_acknowledged_is_lost_and_nothing_is_torn",
            _POWER + "test_power_cuts.py::test_a_guard_taken_away_is_noticed",
        ),
    ),
    (
        "power cut while recovering from a power cut",
        "the same",
        (_POWER + "test_power_cuts.py::test_a_power_cut_while_recovering_from_a_power_cut",),
    ),
    (
        "power cut, or a failure, while key, settings or policy are written",
        "the old one or the new one, whole",
        (
            *_all(
                _POWER + "test_key_file.py::",
                "test_a_saved_key_survives_and_an_unsaved_one_is_whole_or_absent",
                "test_a_key_that_cannot_be_written_is_reported_and_leaves_no_key",
            ),
            "tests/tablet/test_settings.py::test_a_cut_while_writing_leaves_the_old",
            _KEEPER + "test_a_failure_at_any_step_leaves_the_previous_policy",
            _KEEPER + "test_everything_is_on_the_disk_before_it_is_in_force",
        ),
    ),
    (
        "disk full at each write",
        "'not stored' is said, never a false 'stored'; the reserve is given up; stored again when there "
        "is room",
        (
            "tests/casework/test_disk.py::test_full_at_each_write_of_a_capture",
            *_all(
                _POWER + "test_full_and_failing_disk.py::",
                "test_a_disk_full_at_any_write_of_captures",
                "test_a_disk_full_at_any_write_of_making_and_opening_a_store",
                "test_a_limit_of_the_operating_system_in_the_midst_of_work",
                "test_a_small_disk_that_fills_up_and_gets_room_again",
            ),
            _WEB + "test_what_cannot_be_stored_is_never_shown_as_stored",
            _UNIT + "test_what_could_not_be_recorded_is_not_returned",
        ),
    ),
    (
        "a sync fails (EIO), once or for ever",
        "nothing more is acknowledged until the store is opened again; the screen says read-only",
        (
            _POWER + "test_full_and_failing_disk.py"
            "::test_a_sync_that_fails_stops_the_store_and_nothing_is_tried_again",
            _STORE + "test_a_failed_sync_ends_all_writing_until_the_store_is_opened_again",
        ),
    ),
    (
        "kill -9 at random moments of opening and capturing",
        "nothing acknowledged is lost; at most the packet in flight beside it, whole",
        (_POWER + "test_kill.py::test_nothing_acknowledged_is_lost_to_a_kill",),
    ),
    (
        "kill -9 of the running program in the middle of a scan",
        "what was shown is there, half a scan is not, the page that was open is known, the next scan works",
        (_HERE + "test_a_program_killed_in_the_middle_of_a_scan",),
    ),
    (
        "kill -9 with the laser on",
        "the next start switches it off before anything else",
        _all(
            "tests/devices/test_laser_processes.py::",
            "test_killed_program_leaves_the_laser_on",
            "test_next_program_switches_off_what_a_killed_one_left_on",
        ),
    ),
    (
        "kill -9 in the middle of an exchange",
        "everything arrives once, each answer is acknowledged once",
        ("tests/casework/test_exchange_killed.py::test_a_tablet_killed_at_any_moment",),
    ),
    (
        "the program is ended, interrupted or has a defect during a scan",
        "the laser is off on every way out; the officer gets a sentence",
        (
            "tests/devices/test_laser_processes.py::test_laser_is_off_when_the_program_has_left",
            _LASER + "test_signal_switches_off_first_and_then_does_what_it_always_did",
            _LASER + "test_program_that_ends_switches_off",
            _WEB + "test_a_defect_is_one_sentence_too",
        ),
    ),
    (
        "a second program opens the same record",
        "refused in one sentence; the first goes on",
        (
            _HERE + "test_a_second_program_on_the_same_record",
            _STORE + "test_a_second_writer_is_refused_and_a_reader_is_not",
            _STORE + "test_the_lock_ends_with_its_process",
        ),
    ),
    # --- instrument
    (
        "the instrument is pulled out in the middle of a scan; its battery goes flat, or wobbles",
        "one sentence, no half scan on record, never 'off' without proof; the next scan works",
        (_HERE + "test_an_instrument_that_goes_in_the_middle_of_a_scan",),
    ),
    (
        "the laser does not go off, or nobody can say whether it did",
        "an alarm that refuses everything but 'off', and is never called off by itself",
        (
            *_all(
                _LASER,
                "test_alarm_refuses_everything_but_off",
                "test_lost_line_while_the_laser_is_on_never_reads_as_off",
                "test_alarm_survives_closing",
            ),
            _SCREEN + "test_laser_not_confirmed_off_is_never_called_off",
        ),
    ),
    (
        "another instrument is on the line",
        "noticed, and nothing of it is taken for the first",
        (
            _LASER + "test_exchanged_instrument_is_noticed",
            "tests/tablet/test_instrument_check.py::test_another_unit_is_not_passed_by_it",
        ),
    ),
    (
        "no instrument",
        "said; stopping is always allowed",
        (_WEB + "test_without_an_instrument_a_scan_says_so_and_stopping_is_always_fine",),
    ),
    (
        "saturated, weak, fluorescing or dark sample",
        "no name from it; a retake, a longer scan or FTIR is advised",
        (
            _DECIDE + "test_poor_signal_gives_advice_before_anything_else",
            _DECIDE + "test_overloaded_detector_gives_no_name",
            *_all(
                "tests/verdict/test_suggestion.py::",
                "test_a_sample_that_drowns_in_its_fluorescence_is_for_infrared",
                "test_a_black_sample_is_dark",
                "test_a_weak_scan_with_something_in_it_is_weak",
            ),
            _SCREEN + "test_failed_scan_says_why_and_offers_another",
        ),
    ),
    (
        "the daily check failed, is due or was skipped",
        "every later result is marked, and goes to reachback",
        _all(
            "tests/tablet/test_instrument_check.py::",
            "test_a_failed_check_marks_every_later_result",
            "test_a_check_is_skipped_knowingly_with_a_reason_or_not_at_all",
        ),
    ),
    (
        "files of the bench: half written, growing, huge, empty, locked, deleted, the folder gone and back",
        "each is taken once, whole, or not; the others are not held up",
        _all(
            _WATCH,
            "test_a_growing_file_is_waited_for",
            "test_a_writer_killed_in_the_middle_and_one_that_comes_to_its_end",
            "test_a_huge_file_is_not_even_opened",
            "test_an_empty_file",
            "test_locked_by_its_writer",
            "test_deleted_before_it_was_read",
            "test_a_folder_that_goes_and_comes_back",
            "test_a_taker_killed_before_and_after_it_acknowledged",
            "test_a_stuck_file_does_not_hold_up_the_others",
        ),
    ),
    # --- screen
    (
        "the browser is closed in the middle of a scan",
        "the scan is ended and recorded; whoever opens the page again sees it",
        (
            _HERE + "test_a_browser_that_is_closed_in_the_middle_of_a_scan",
            _SCREEN + "test_reload_in_the_middle_of_a_scan",
            "tests/tablet/test_events.py::test_a_page_that_goes_is_forgotten_and_closing_ends_the_others",
        ),
    ),
    (
        "two tabs scan or record at once",
        "one scan at a time, both pages are told; every record once, in order, on one chain",
        (
            _HERE + "test_two_pages_that_scan_at_once",
            _HERE + "test_two_pages_that_record_at_once",
            _STORE + "test_several_threads_write_and_read",
        ),
    ),
    (
        "tapped twice, scanned twice",
        "recorded once; the same item is asked about",
        (
            _SCREEN + "test_double_tap_records_once_and_confirms_nothing",
            _WEB + "test_a_repeat_is_asked_about_and_done_when_meant",
            _STORE + "test_a_repeated_scan_is_found",
        ),
    ),
    (
        "the program stops, hangs or answers nonsense while a page is open",
        "the page says so, and goes on when it is back",
        _all(
            _SCREEN,
            "test_program_that_stops_and_comes_back",
            "test_program_that_hangs_gets_a_sentence",
            "test_screen_that_cannot_be_shown_says_so_and_tries_again",
        ),
    ),
    (
        "reload while something is typed",
        "what was typed is there until it is recorded",
        (_SCREEN + "test_what_was_typed_survives_a_reload_until_it_is_recorded",),
    ),
    (
        "another site, another program or a stranger asks the page",
        "nothing is told, nothing changes",
        _all(
            "tests/tablet/test_doorman.py::",
            "test_a_wrong_key_gets_no_cookie",
            "test_without_the_cookie_nothing_is_told",
            "test_what_changes_anything_needs_the_header_no_other_site_can_set",
            "test_a_name_that_was_pointed_here_from_elsewhere_is_not_served",
            "test_a_page_may_load_nothing_from_elsewhere_and_not_be_framed",
        ),
    ),
    (
        "requests that make no sense, too deep or too large",
        "one sentence, and nothing changes",
        (
            _WEB + "test_what_makes_no_sense_gets_one_sentence_and_changes_nothing",
            _UNIT + "test_what_makes_no_sense_is_refused_by_name_and_leaves_no_record",
        ),
    ),
    (
        "hostile texts in names, notes and declarations",
        "shown as text, never run",
        (
            _SCREEN + "test_hostile_texts_are_shown_and_never_run",
            _SCREEN + "test_texts_only_ever_become_text",
            "tests/report/test_scan_report.py::test_what_was_typed_cannot_turn_the_text_around_or_hide_it",
            "tests/report/test_seizure_report.py::test_no_cell_is_a_formula",
        ),
    ),
    # --- clock, settings, policy, library
    (
        "the clock jumps: a year ahead, back, 1970; a restart in the past",
        "order holds, no packet says its time was confirmed; trusted time only goes forward",
        (
            _HERE + "test_a_clock_that_jumps_during_a_shift",
            *_all(
                "tests/casework/test_clock.py::",
                "test_a_clock_set_after_the_comparison_is_seen",
                "test_a_year_forward_and_back_without_any_server",
                "test_trusted_time_never_goes_back",
                "test_across_a_restart",
            ),
            _KEEP + "test_a_clock_set_forward_removes_nothing",
        ),
    ),
    (
        "a policy with a mistake is installed",
        "refused with file, line and reason; the previous one stays in force",
        (
            _KEEPER + "test_a_policy_with_a_mistake_is_refused_and_the_previous_stays",
            _POLICY + "test_each_mistake_is_told_with_its_line",
            _POLICY + "test_the_error_names_file_line_and_reason",
        ),
    ),
    (
        "a policy that silences what kills",
        "refused",
        _all(
            _POLICY,
            "test_the_rules_for_what_kills_cannot_be_left_out",
            "test_a_rule_for_what_kills_cannot_be_made_weaker",
        ),
    ),
    (
        "the policy in force is damaged on the disk",
        "the bundled one is in force, and every screen and verdict says so",
        (
            _HERE + "test_nonsense_in_the_place_of_the_policy",
            _KEEPER + "test_a_damaged_policy_is_replaced_by_the_bundled_one_and_says_so",
            "tests/verdict/test_circumstances.py::test_a_damaged_policy_is_told_in_every_verdict",
        ),
    ),
    (
        "settings nobody can read",
        "the defaults; the program starts",
        ("tests/tablet/test_settings.py::test_what_is_not_understood_gives_the_defaults",),
    ),
    (
        "a library that does not open, or changes during a scan",
        "the one in force stays; a scan ends with the library it began with",
        _all(
            "tests/tablet/test_new_library.py::",
            "test_a_library_that_does_not_open_changes_nothing",
            "test_a_scan_under_way_is_ended_with_the_library_it_began_with",
            "test_a_tablet_set_back_in_time_does_not_take_what_was_held_back",
        ),
    ),
    # --- evidence
    (
        "an unknown substance, or one that no library has",
        "handled as the most dangerous plausible; nothing is named; absence is never claimed",
        _all(
            _DECIDE,
            "test_unknown_hazards_are_handled_as_dangerous",
            "test_nothing_like_it_says_so_and_escalates",
            "test_absence_is_never_claimed",
            "test_a_computed_reference_never_identifies",
        ),
    ),
    (
        "goods declared falsely, or as nonsense",
        "inconsistent or 'cannot tell', with the reason; escalated",
        (
            *_all(
                _DECLARED,
                "test_every_pair_of_declared_and_found",
                "test_no_text_breaks_the_reader",
                "test_a_declaration_that_contradicts_itself_is_noticed",
                "test_no_slip_of_the_pen_is_read_as_a_controlled_substance",
            ),
            _ITEM + "test_a_misdeclared_item_escalates",
        ),
    ),
    (
        "a strip that contradicts the spectrum, is expired, or has no dilution on record",
        "a conflict is shown and escalates, and takes no alarm away; no likelihood ratio without its facts",
        (
            *_all(
                _STRIPS,
                "test_every_pair_of_strip_and_spectrum",
                "test_no_ratio_where_nothing_published_holds",
                "test_an_expired_strip_that_is_positive_still_escalates",
                "test_what_cannot_be_is_refused",
            ),
            _ITEM + "test_a_negative_strip_takes_no_alarm_away",
        ),
    ),
    (
        "two techniques, or two scans, of one item disagree",
        "a conflict, and escalated",
        _all(
            _ITEM,
            "test_two_techniques_that_disagree_are_a_conflict",
            "test_two_scans_by_one_technique_that_name_different_things",
        ),
    ),
    (
        "a spectrum that the library cannot judge",
        "kept as evidence, and escalated",
        (_UNIT + "test_a_spectrum_the_library_cannot_judge_is_kept_and_escalated",),
    ),
    # --- the record is tampered with, lost, old
    (
        "a packet or an entry of the custody log is changed, deleted, moved, cut off, signed anew",
        "named by the check",
        _all(
            _CHAIN,
            "test_an_edited_entry_is_named",
            "test_a_deleted_entry_is_named",
            "test_two_entries_that_changed_places_are_named",
            "test_a_log_signed_by_somebody_else_is_named",
            "test_a_log_restamped_with_the_device_key_is_shown_by_the_packets",
            "test_a_cut_off_end_is_shown_by_the_packets_or_a_checkpoint",
            "test_a_packet_with_other_bytes_is_named",
            "test_a_deleted_packet_is_named",
            "test_a_cut_off_end_is_shown_by_the_custody_log_or_the_server",
        ),
    ),
    (
        "a bit flips on the disk",
        "found by reading or by looking through, named, never handed out; put back from a backup",
        (
            _POWER + "test_scrub.py::test_every_flipped_bit_of_a_packet_is_found_and_names_the_packet",
            _POWER + "test_scrub.py::test_bits_anywhere_in_the_file_are_found_or_do_no_harm",
            _STORE + "test_a_flipped_bit_is_found_on_reading_and_told",
            _BACKUP + "test_damaged_packets_come_back_from_a_backup",
            "tests/tablet/test_looking_after.py::test_nothing_is_let_go_while_the_record_is_damaged",
        ),
    ),
    (
        "the tablet is restored from an old backup; the backup is damaged",
        "no number is used twice; a damaged backup is refused; a restore that fails leaves nothing",
        _all(
            _BACKUP,
            "test_a_restored_device_goes_on_without_using_a_number_twice",
            "test_restoring_the_same_backup_again_opens_another_epoch",
            "test_any_changed_byte_of_a_backup_is_noticed",
            "test_a_restore_that_fails_leaves_nothing",
        ),
    ),
    (
        "the record is of another version, no record at all, or was deleted while the key stayed",
        "refused and left alone, or migrated after a copy; no number is given out again",
        _all(
            _STORE,
            "test_an_older_store_is_backed_up_and_brought_up_to_date",
            "test_a_migration_that_fails_changes_nothing",
            "test_a_file_that_is_no_store_is_refused_and_left_alone",
            "test_a_key_without_its_record_does_not_give_out_numbers_again",
            "test_rescue_gives_the_sound_packets_of_a_damaged_store",
        ),
    ),
    (
        "the key is lost, damaged, or readable by others",
        "refused by name; never replaced by chance",
        _all(
            _STORE,
            "test_a_lost_key_is_never_replaced_by_chance",
            "test_a_key_that_others_can_read_is_refused",
            "test_a_damaged_key_is_named",
        ),
    ),
    (
        "records are to be removed: unsent, without receipt, with a forged one",
        "only what the server has had long enough, by its signature",
        _all(
            _KEEP,
            "test_only_what_the_server_has_had_long_enough_is_removed",
            "test_the_unsent_is_never_removed",
            "test_a_receipt_that_nobody_trusted_signed_removes_nothing",
            "test_without_a_signed_time_nothing_is_removed",
        ),
    ),
    # --- exchange
    (
        "no network for days, a server that is busy, broken, slow or a black hole",
        "pauses that grow, nothing lost, nothing twice; the screen waits for nothing",
        (
            *_all(
                _SYNC,
                "test_after_any_fault_everything_arrives_once",
                "test_days_offline_cost_a_try_every_five_minutes_and_no_more",
                "test_a_server_error_over_one_packet_holds_up_that_one_only",
                "test_a_server_that_only_answers_questions_is_not_hammered_with_packets",
            ),
            *_all(_ENDPOINT, "test_a_server_that_falls_silent_is_given_up_on", "test_nobody_there"),
            _SCREEN + "test_why_nothing_is_sent_is_told",
        ),
    ),
    (
        "a sign-in page, another server, a recorded message, a forged or changed one",
        "only what the own server signed counts",
        _all(
            _ENDPOINT,
            "test_what_may_work_later_is_tried_later",
            "test_a_server_of_another_authority_gets_nothing",
            "test_the_receipt_of_another_packet_confirms_nothing",
            "test_a_recorded_time_is_not_taken_for_the_present",
            "test_a_time_that_nobody_trusted_signed_is_not_taken",
        )
        + _all(
            "tests/casework/test_messages.py::", "test_no_byte_of_a_message_can_be_changed_to_another_meaning"
        ),
    ),
    (
        "the server refuses a packet for good",
        "a person is asked; the others go on",
        (_SYNC + "test_a_refusal_for_good_asks_for_a_person_and_holds_up_nothing_else",),
    ),
    (
        "USB stick: full, pulled, out of order, with foreign and damaged files",
        "a sentence, no torn file, the rest goes on; everything may be done twice",
        _all(
            _STICK,
            "test_a_full_stick_ends_in_a_sentence_and_leaves_no_torn_file",
            "test_a_failing_write_removes_its_draft",
            "test_a_half_written_file_of_an_earlier_attempt_is_written_whole",
            "test_a_stick_out_of_order_restores_the_chain",
            "test_bad_files_are_refused_one_by_one_and_the_rest_goes_on",
            "test_everything_about_a_stick_can_be_done_twice",
        ),
    ),
    (
        "answers that are doubled, missing, late, damaged, superseded, about nothing here",
        "in the server's order, each once; a gap is told; a warning behind it is shown all the same",
        _all(
            _INBOX,
            "test_the_same_answer_again_changes_nothing",
            "test_a_gap_is_seen_and_a_warning_behind_it_shown_all_the_same",
            "test_late_is_what_took_more_than_an_hour",
            "test_a_damaged_answer_is_not_shown_as_one_and_comes_again",
            "test_a_superseded_answer_knows_its_successor_in_whatever_order_they_come",
            "test_an_answer_about_nothing_here_is_an_answer_all_the_same",
        ),
    ),
    (
        "certificate expired, damaged, revoked; a stranger's enrolment, an older one",
        "'enrol again', everything is kept and the stick works; a stranger takes no tablet over",
        (
            _SYNC + "test_a_revoked_tablet_says_so_keeps_everything_and_goes_on_once_enrolled",
            _ENDPOINT + "test_a_lost_or_damaged_certificate_means_enrol_again",
            _ENDPOINT + "test_a_certificate_out_of_date_is_said_to_be_that_or_the_clock",
            *_all(
                _ENROL,
                "test_a_stranger_does_not_take_a_tablet_over",
                "test_an_older_enrolment_does_not_come_back_by_itself",
                "test_a_changed_enrolment_is_refused",
            ),
        ),
    ),
    (
        "a whole shift with all of it: mis-declared goods, a strip conflict, fluorescence, the network down",
        "every scan on record, each packet on the server once, both chains verify",
        ("tests/tablet/test_shift.py::test_a_full_shift",),
    ),
    (
        "a report of an extreme, broken or empty record",
        "a page that says so; a broken chain is never praised",
        (
            "tests/report/test_scan_report.py::test_extreme_records_stay_on_one_page_and_say_that_they_go_on",
            "tests/report/test_scan_report.py::test_a_refused_scan_and_an_empty_manifest_make_a_page",
            "tests/report/test_seizure_report.py"
            "::test_a_broken_custody_chain_is_told_and_one_nobody_looked_at_is_not_praised",
        ),
    ),
)

ROOM = Room(
    "tablet",
    "The officer's tablet",
    "The real program, the real record on a real disk, the real engine and library; simulated are the "
    "instrument, the power (by what a cut leaves of the writes of the real store) and, where it is not the "
    "server itself, the network.",
    tuple(Row(n, fault, expected, tests) for n, (fault, expected, tests) in enumerate(_FAULTS, 1)),
    (
        "A real tablet, its battery, its disk and its sleep: everything ran on one Linux machine. A disk "
        "that "
        "says it has written and has not is beyond any program.",
        "A million power cuts were begun once and not finished ([durability](durability.md)); the table "
        "shows "
        "the cuts of the test suite.",
    ),
)
