"""Profiles of instruments whose spectra come as files: complete, sourced, and installed."""

import re
import tomllib

import pytest

from spectralid import _bundled
from spectralid.devices.file_profiles import WANTED, file_profiles, load_file_profile
from spectralid.errors import FileError, ParameterError
from spectralid.io import formats
from spectralid.spectrum import Technique

PROFILES = {profile.key: profile for profile in file_profiles()}
TEXT = _bundled.path("devices", "files", "thermo-firstdefender.toml").read_text(encoding="utf-8")


def test_the_instruments_of_the_issue_are_there():
    names = " ".join(profile.name for profile in PROFILES.values())
    for wanted in ("TruNarc", "Gemini", "FirstDefender", "ResQ", "MIRA", "TacticID"):
        assert wanted in names
    assert {profile.route for profile in PROFILES.values()} == {"file-only", "watch-folder", "opus-rs"}


@pytest.mark.parametrize("key", PROFILES)
def test_each_profile(key):
    profile = PROFILES[key]
    assert load_file_profile(key) == profile
    # Nobody had one at hand; a profile that says otherwise needs a record of the trial, which does not exist.
    assert profile.tried_on_hardware is False
    readers = {known.name for known in formats()}
    assert {export.reader for export in profile.exports} <= readers
    assert all(export.evidence and export.source for export in profile.exports)
    assert all("http" in fact.source for fact in profile.facts.values())
    assert profile.techniques
    assert "Our words" in profile.safety
    assert profile.protocol == profile.route
    for wanted in WANTED:
        stated = wanted in profile.facts or (wanted == "export" and bool(profile.exports))
        if wanted != "laser_nm" or Technique.RAMAN in profile.techniques:
            assert stated != (wanted in profile.not_found)


def test_handhelds_are_files_and_benches_are_folders():
    for profile in PROFILES.values():
        if profile.exports:
            assert profile.route in ("watch-folder", "opus-rs")
        else:
            # Nothing can watch a folder for files nobody knows.
            assert profile.route == "file-only"


def test_values_of_facts():
    facts = load_file_profile("thermo-firstdefender").facts
    assert facts["range_cm1"].value == (250.0, 2875.0)
    assert "secondary" in facts["range_cm1"].source
    assert facts["technique"].value == "Raman, handheld"
    with pytest.raises(TypeError):
        facts["new"] = facts["technique"]


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ('route = "file-only"', 'route = "telepathy"', "route"),
        ('route = "file-only"', "", "route"),
        ("tried_on_hardware = false", 'tried_on_hardware = "no"', "tried_on_hardware"),
        ('techniques = ["raman"]', 'techniques = ["smell"]', "techniques"),
        ('techniques = ["raman"]', 'techniques = "raman"', "techniques"),
        ('techniques = ["raman"]', "techniques = []", "techniques"),
        ('not_found = ["export", "laser_nm"]', 'not_found = ["export"]', "not_found"),
        (
            'not_found = ["export", "laser_nm"]',
            'not_found = ["export", "laser_nm", "range_cm1"]',
            "not_found",
        ),
        ("value = [250, 2875]", "value = [250, true]", "facts.range_cm1.value"),
        ("value = [250, 2875]", "", "facts.range_cm1.value"),
        ("[facts.sampling]", "[[export]]", "export.reader"),
        ("[facts.technique]", "facts = 3\n[other]", None),
        ('name = "', 'name = 3 #"', "name"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, old, new, where):
    assert old in TEXT
    file = tmp_path / "mine.toml"
    file.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(FileError, match=r"mine\.toml") as caught:
        load_file_profile(str(file))
    if where:
        assert caught.value.where == f"key {where}"


def test_a_source_for_every_number(tmp_path):
    table = tomllib.loads(TEXT)
    for name in table["facts"]:
        source = table["facts"][name]["source"]
        file = tmp_path / f"{name}.toml"
        file.write_text(TEXT.replace(f'source = "{source}"', ""), encoding="utf-8")
        with pytest.raises(FileError, match="source"):
            load_file_profile(str(file))


def test_unknown_profile_lists_the_known():
    with pytest.raises(ParameterError, match="thermo-trunarc"):
        load_file_profile("tricorder")


def test_rules_and_notes_are_installed_with_the_package():
    for name in ("99-spectralid.rules", "WINDOWS.md", "README.md"):
        assert _bundled.path("devices", name).is_file()


def test_udev_rules_are_well_formed():
    """What udev would refuse: no value, an unknown operator, a jump to nowhere, a comment behind a rule."""
    text = _bundled.path("devices", "99-spectralid.rules").read_text(encoding="utf-8")
    # The lines that are switched off must work when somebody switches them on.
    lines = [line.removeprefix("#") for line in text.splitlines() if re.match(r"#?[A-Z]+[{=!]", line)]
    token = r'[A-Z]+(?:\{[\w/.]+\})?(?:==|!=|\+=|:=|=)"[^"]*"'
    assert len(lines) >= 9
    for line in lines:
        assert re.fullmatch(rf"{token}(?:, {token})*", line), line
    jumps = set(re.findall(r'GOTO="(\w+)"', text))
    assert jumps == set(re.findall(r'LABEL="(\w+)"', text))
    # Keys that search the parents must all hold for one and the same parent.
    assert not any("ATTRS{" in line and "DRIVERS" in line for line in lines)
    assert {"2457", "24aa"} == set(re.findall(r'^ATTRS\{idVendor\}=="(\w+)"', text, flags=re.M))
