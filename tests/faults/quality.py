"""Faults of quality assurance: of units, their standards, their drift, of libraries and of studies."""

from __future__ import annotations

from tests.faults.rows import Room, Row

__all__ = ["ROOM"]

_PLANTED = "tests/qa/test_planted_faults.py::"
_CHECK = "tests/qa/test_check.py::"
_CHARTS = "tests/qa/test_charts.py::"
_HISTORY = "tests/qa/test_history.py::"
_AUDIT = "tests/qa/test_library_audit.py::"
_STUDY = "tests/qa/test_study.py::"
_TRANSFER = "tests/qa/test_transfer.py::"

_FAULTS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "a unit whose axis moved or stretched, laser wore, resolution fell, pixels died, light strays",
        "the daily check fails by the figure of that fault; a sound unit passes",
        (
            _CHECK + "test_each_fault_is_found_by_its_figure",
            _CHECK + "test_the_axis_is_said_as_far_off_as_it_was_moved",
            _CHECK + "test_a_sound_unit_passes",
            _PLANTED + "test_faults_of_a_unit_are_found",
            _PLANTED + "test_a_sound_unit_passes",
        ),
    ),
    ("a saturated band", "found", (_CHECK + "test_a_saturated_band_is_found",)),
    (
        "a worn detector; pixels that are stuck or hot",
        "found in the dark frames",
        (
            _CHECK + "test_a_worn_detector_is_found",
            _CHECK + "test_dark_frames_show_pixels_that_are_stuck_or_hot",
        ),
    ),
    (
        "another substance in the place of the standard",
        "fails",
        (_CHECK + "test_another_substance_does_not_pass_for_the_standard",),
    ),
    (
        "another unit, or dark frames of another exposure, to compare with",
        "not compared, and said",
        (
            _CHECK + "test_another_unit_is_no_measure",
            _CHECK + "test_darks_of_another_exposure_are_not_compared",
        ),
    ),
    (
        "the record of a check was changed, or is none",
        "said, refused, not charted",
        (
            _CHECK + "test_the_record_comes_back_and_shows_a_change",
            _CHECK + "test_what_is_no_record_is_refused",
            _HISTORY + "test_a_changed_record_is_said_and_not_charted",
            "tests/tablet/test_checks.py::test_a_record_that_was_changed_is_no_pass",
        ),
    ),
    (
        "a unit that drifts slowly",
        "stopped by the control chart; sound units hardly ever",
        (
            _PLANTED + "test_a_drifting_unit_is_stopped_and_sound_ones_hardly_ever",
            _CHARTS + "test_the_charts_signal_where_the_rules_say",
            _HISTORY + "test_the_command_stops_a_drifting_unit",
        ),
    ),
    (
        "a drift within the days that make the usual value; a figure that is none",
        "the baseline is hardly widened; refused",
        (
            _CHARTS + "test_a_baseline_is_hardly_widened_by_a_drift",
            _CHARTS + "test_what_gives_no_baseline_is_refused",
            _CHARTS + "test_a_figure_that_is_none_is_refused",
        ),
    ),
    (
        "a library with a wrong label, a substance under another name, a scan saved twice",
        "found; a sound library raises nothing",
        (
            _PLANTED + "test_a_library_with_one_of_each_fault",
            _AUDIT + "test_a_wrong_label_is_found",
            _AUDIT + "test_a_scan_saved_twice_is_found_by_its_noise",
            _AUDIT + "test_a_scan_that_is_like_nothing_is_odd",
            _AUDIT + "test_what_a_program_does_to_a_scan_does_not_hide_it",
            _AUDIT + "test_a_sound_library_raises_nothing",
        ),
    ),
    (
        "samples of a study that are in the library",
        "found",
        (_PLANTED + "test_a_study_finds_its_samples_in_the_library",),
    ),
    (
        "a manifest of a study with bad lines, or targets that cannot be",
        "every bad line is named",
        (
            _STUDY + "test_what_is_no_manifest_is_refused",
            _STUDY + "test_every_bad_line_is_named",
            _STUDY + "test_a_target_that_cannot_be_is_refused",
        ),
    ),
    (
        "a unit that is worse than the one it follows, is silent, or was tried on too few specimens",
        "not accepted; few specimens prove little",
        (
            _TRANSFER + "test_a_sound_daughter_is_accepted_and_a_worse_one_is_not",
            _TRANSFER + "test_no_loss_in_a_few_specimens_proves_little",
            _TRANSFER + "test_a_silent_daughter_is_seen",
        ),
    ),
)

ROOM = Room(
    "quality",
    "Quality assurance",
    "Faults of units, libraries and studies, planted in the sizes of the tests. From which size on each kind "
    "is found, with intervals: [planted faults](qa-faults.md), which is not written twice here.",
    tuple(Row(n, fault, expected, tests) for n, (fault, expected, tests) in enumerate(_FAULTS, 1)),
    ("Units are simulated; real units may vary more from day to day.",),
)
