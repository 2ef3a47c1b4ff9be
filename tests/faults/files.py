"""Faults of what comes from outside: files of any format, archives, libraries, whatever a device sends."""

from __future__ import annotations

from tests.faults.rows import Room, Row

__all__ = ["FOUND", "ROOM"]

_REGISTRY = "tests/io/test_registry.py::"
_JCAMP = "tests/io/test_jcamp.py::"
_FUZZ = "tests/io/test_jcamp_fuzz.py::"
_TEXT = "tests/io/test_text.py::"
_SPC = "tests/io/test_spc.py::"
_HDF5 = "tests/io/test_hdf5.py::"
_SPECTRUM = "tests/test_spectrum.py::"
_SANDBOX = "tests/test_sandbox.py::"
_CLI = "tests/cli/test_cli.py::"
_DAMAGE = "tests/library/test_damage.py::"
_UNPACK = "tests/library/test_unpack.py::"
_SIGNING = "tests/library/test_signing.py::"

# What fuzzing has found, in words, and the test that stays of it (docs/fuzzing.md).
FOUND: tuple[tuple[str, str], ...] = (
    (
        "HDF5: a file on which the library goes round for ever",
        _HDF5 + "test_a_file_that_keeps_hdf5_busy_for_ever_is_refused",
    ),
    (
        "HDF5: a file that makes the library read beyond its memory",
        _HDF5 + "test_a_file_that_kills_hdf5_leaves_this_process_alone",
    ),
    ("JCAMP-DX: a line of separators only", "tests/io/test_jcamp_codec.py::test_damage_is_named"),
    (
        "JCAMP-DX: a compound file cut off between its blocks gave the first ones as if they were all",
        _JCAMP + "test_a_compound_file_that_is_cut_off_never_gives_only_its_first_blocks",
    ),
    (
        "Wasatch: an image that ends within a pixel",
        "tests/devices/test_wasatch_codec.py::test_half_a_pixel_is_refused",
    ),
    (
        "TCD1304: a readout of an odd number of bytes",
        "tests/devices/test_tcd1304.py::test_wrong_length",
    ),
    (
        "manifest of a study: a header that is no CSV",
        "tests/qa/test_study.py::test_what_is_no_manifest_is_refused",
    ),
)

_FAULTS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "a file that is empty, or no spectrum file at all",
        "refused in one sentence",
        (_REGISTRY + "test_what_is_no_spectrum_file", _REGISTRY + "test_missing_files_and_folders"),
    ),
    (
        "cut off anywhere: JCAMP-DX, text, SPC, SPA, PerkinElmer, HDF5",
        "refused, or read with the end missing and a flag; the place is said",
        (
            _JCAMP + "test_truncation_is_named",
            _FUZZ + "test_every_truncation",
            _TEXT + "test_a_cut_last_line_is_truncation",
            _SPC + "test_a_file_cut_anywhere_says_so",
            "tests/io/test_spa.py::test_a_file_cut_anywhere_says_where",
            "tests/io/test_perkinelmer.py::test_a_file_cut_anywhere_is_unreadable",
            _HDF5 + "test_a_truncated_file_is_refused",
        ),
    ),
    (
        "points missing (NaN), all of them missing, infinite, or no numbers",
        "some: missing points; otherwise refused",
        (
            _TEXT + "test_missing_values_become_nan",
            _TEXT + "test_infinities_are_refused",
            _SPC + "test_missing_points_stay_missing_and_infinities_are_refused",
            _SPECTRUM + "test_what_is_no_spectrum_is_refused_with_a_sentence",
        ),
    ),
    (
        "a constant spectrum, noise only",
        "read as it is, and judged as poor signal",
        (_TEXT + "test_a_constant_spectrum_is_read_as_it_is", _CLI + "test_noise_is_poor_signal"),
    ),
    (
        "an axis that falls, repeats values, overlaps in segments",
        "turned round; merged and flagged",
        (
            _TEXT + "test_descending_axis_is_turned_round",
            _TEXT + "test_repeated_axis_values_are_merged_and_flagged",
            _SPECTRUM + "test_overlapping_segments_are_merged_and_recorded",
            _SPECTRUM + "test_repeated_axis_values_only",
        ),
    ),
    (
        "another technique than said, a laser that the file contradicts, nanometres without a laser",
        "refused, with what to give",
        (
            _CLI + "test_wrong_technique_is_one_sentence",
            _REGISTRY + "test_the_technique_fills_a_gap_but_contradicts_nothing",
            _REGISTRY + "test_a_laser_the_file_contradicts_is_refused",
            _TEXT + "test_wavelengths_without_a_laser_say_which_option_to_give",
        ),
    ),
    (
        "binary garbage, text of any encoding, formats that are not spectra",
        "named or called binary data, and refused",
        (
            "tests/io/test_foreign.py::test_random_bytes_are_called_binary_data",
            "tests/io/test_foreign.py::test_known_formats_are_refused_by_name_with_advice",
            _TEXT + "test_no_bytes_bring_out_anything_but_an_input_error",
            _TEXT + "test_binary_is_refused_and_not_sniffed",
        ),
    ),
    (
        "200 MB of text; a stream without end; more than fits a tablet",
        "refused at no cost",
        (
            _REGISTRY + "test_200_mb_are_refused_at_no_cost",
            _REGISTRY + "test_a_stream_is_read_no_further_than_the_bound",
            _TEXT + "test_more_text_than_fits_a_tablet_is_refused",
        ),
    ),
    (
        "headers of real files that lie: labels without a space, FIRSTY cut to an integer, an audit trail of "
        "many lines, a wrong NPOINTS",
        "read where the table is plain, flagged or refused where it is not",
        (
            _JCAMP + "test_labels_are_compared_as_the_standard_says",
            _JCAMP + "test_rounded_or_cut_firsty_is_harmless",
            _JCAMP + "test_a_multi_line_audit_trail_before_the_title",
            _JCAMP + "test_a_wrong_npoints_is_told_where_the_axis_ends_at_lastx",
            _JCAMP + "test_a_failed_ordinate_check_is_named",
        ),
    ),
    (
        "something else in a known format: GC-MS, NMR, interferograms, backgrounds",
        "refused by name",
        (
            _SPC + "test_what_is_no_vibrational_spectrum_is_refused_by_name",
            _JCAMP + "test_what_is_not_vibrational_is_named",
            "tests/io/test_opus.py::test_background_and_interferograms_alone_are_refused",
        ),
    ),
    (
        "counts, offsets and sizes that lie: SPC, SPA, OPUS, WDF, JCAMP-DX",
        "refused before anything is allocated",
        (
            _SPC + "test_false_counts_cost_no_memory",
            "tests/io/test_spa.py::test_false_counts_cost_no_memory",
            "tests/io/test_opus.py::test_damage_is_refused_before_the_package_sees_it",
            "tests/io/test_opus.py::test_reports_that_would_fill_the_memory_are_not_parsed",
            "tests/io/test_wdf.py::test_damage_is_refused_before_anything_is_allocated",
            _FUZZ + "test_hostile_sizes",
            _JCAMP + "test_bounds_against_hostile_headers",
        ),
    ),
    (
        "HDF5 that is a trap, was changed, is of a newer layout, or is something else",
        "refused; read in a process of its own",
        (
            _HDF5 + "test_arrays_that_are_traps_are_not_read",
            _HDF5 + "test_a_changed_file_of_ours_is_refused",
            _HDF5 + "test_a_newer_layout_says_so",
            _HDF5 + "test_hdf5_of_something_else_is_refused",
            _HDF5 + "test_flipped_bytes_never_bring_out_anything_but_an_input_error",
        ),
    ),
    (
        "a file that kills its reader, never ends, hoards memory, writes, or talks too much",
        "costs one file; limits of memory, time and output hold; the program is unharmed",
        (
            _SANDBOX + "test_what_kills_its_reader_costs_one_file",
            _SANDBOX + "test_processor_time_is_limited",
            _SANDBOX + "test_time_by_the_clock_is_limited",
            _SANDBOX + "test_memory_is_limited",
            _SANDBOX + "test_nothing_is_written",
            _SANDBOX + "test_what_is_handed_back_is_limited",
            _SANDBOX + "test_what_is_no_answer_is_refused",
            _SANDBOX + "test_a_keeper_that_was_killed_is_replaced",
        ),
    ),
    (
        "50,000 damaged inputs for all readers of outside bytes",
        "an answer or an error of the family, each within 2 s",
        ("tests/fuzz/test_fuzz.py::test_damage_ends_in_our_errors",),
    ),
    (
        "one bad file among many",
        "reported; the others go on",
        (
            _CLI + "test_a_bad_file_is_reported_and_the_batch_goes_on",
            ""
            "tests/library/test_importing.py::test_a_bad_file_between_good_ones_is_reported_and_the_rest_goes_on",
        ),
    ),
    (
        "archives: bombs, names that lead elsewhere, links, doubled names, encrypted, truncated",
        "refused whole; nothing is written outside",
        (
            _UNPACK + "test_a_bomb_is_stopped_by_what_comes_out_of_it",
            _UNPACK + "test_a_size_that_is_a_lie_is_noticed",
            _UNPACK + "test_whatever_a_member_is_called_nothing_is_written_outside",
            _UNPACK + "test_a_link_is_refused",
            _UNPACK + "test_an_encrypted_member_is_refused",
            _UNPACK + "test_truncated",
        ),
    ),
    (
        "a library that is damaged, truncated, edited, of a newer version, or none",
        "refused, or found by verification; a damaged spectrum is never handed out",
        (
            _DAMAGE + "test_any_flipped_byte_of_any_dataset_is_found",
            _DAMAGE + "test_a_damaged_spectrum_is_never_handed_out",
            _DAMAGE + "test_every_truncation_is_found",
            _DAMAGE + "test_newer_major_version_is_refused",
            _DAMAGE + "test_a_manifest_someone_edited",
            _DAMAGE + "test_not_a_library",
            _CLI + "test_a_library_with_a_damaged_matrix_names_nothing",
        ),
    ),
    (
        "a library signed by nobody, by somebody else, or changed after it was signed",
        "refused",
        (
            _SIGNING + "test_a_library_whose_values_were_changed_is_refused",
            _SIGNING + "test_another_key_that_claims_to_be_this_one_is_refused",
            _SIGNING + "test_any_changed_fact_is_refused",
            _SIGNING + "test_malformed_signatures",
        ),
    ),
    *((f"found by fuzzing: {words}", "refused, and stays so", (test,)) for words, test in FOUND),
)

ROOM = Room(
    "files",
    "What comes from outside",
    "Files, archives, libraries and streams: cut, changed, made to do harm, or simply something else. How "
    "many inputs were tried: [fuzzing](fuzzing.md).",
    tuple(Row(n, fault, expected, tests) for n, (fault, expected, tests) in enumerate(_FAULTS, 1)),
)
