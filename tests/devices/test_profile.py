import pytest

from spectralid import _bundled
from spectralid.devices.profile import FILE_PROTOCOLS, bundled_profiles, load_profile
from spectralid.errors import FileError, ParameterError

TEXT = _bundled.path("devices", "ocean-ventana-785l.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", bundled_profiles())
def test_bundled_profiles_load(name):
    profile = load_profile(name)
    assert profile.protocol in FILE_PROTOCOLS or profile.integration_ms[0] < profile.integration_ms[1]
    if profile.laser_nm is not None:
        assert "interlock" in profile.safety


def test_ventana():
    profile = load_profile("ocean-ventana-785l")
    assert (profile.protocol, profile.baud, profile.pixels, profile.adc_max) == ("obp", 9600, 1024, 65535)
    assert profile.laser_nm == 785.0
    assert profile.integration_ms == (22.0, 60_000.0)
    assert not profile.tried_on_hardware


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("baud = 9600", "", "line.baud"),
        ("baud = 9600", 'baud = "fast"', "line.baud"),
        ("pixels = 1024", "pixels = 1024.5", "detector.pixels"),
        ("adc_max = 65535", "adc_max = 0", "detector.adc_max"),
        ("wavelength_nm = 785.0", "wavelength_nm = 0", "laser.wavelength_nm"),
        ("wavelength_nm = 785.0", "wavelength_nm = nan", "laser.wavelength_nm"),
        ("maximum_ms = 60000", "maximum_ms = 1", "integration.maximum_ms"),
        ('protocol = "obp"', 'protocol = "smoke"', "protocol"),
        ("tried_on_hardware = false", 'tried_on_hardware = "no"', "tried_on_hardware"),
        ('name = "Ocean Ventana 785L Raman"', 'name = " "', "name"),
        ("[detector]", "[other]", "detector.pixels"),
        ("[line]", "line = 3\n[lines]", "line.baud"),
    ],
)
def test_wrong_key_is_named(tmp_path, old, new, key):
    assert old in TEXT
    file = tmp_path / "mine.toml"
    file.write_text(TEXT.replace(old, new), encoding="utf-8")
    with pytest.raises(FileError, match=r"mine\.toml") as caught:
        load_profile(str(file))
    assert caught.value.where == f"key {key}"


def test_not_toml(tmp_path):
    file = tmp_path / "bad.toml"
    file.write_bytes(b"name = [")
    with pytest.raises(FileError, match="not valid TOML"):
        load_profile(str(file))
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(FileError, match="UTF-8"):
        load_profile(str(file))
    with pytest.raises(FileError, match="cannot be read"):
        load_profile(str(tmp_path / "none.toml"))


def test_unknown_name_lists_the_known():
    with pytest.raises(ParameterError, match="ocean-ventana-785l"):
        load_profile("tricorder")


def loaded(tmp_path, *changes):
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = tmp_path / "mine.toml"
    file.write_text(text, encoding="utf-8")
    return load_profile(str(file))


def test_instrument_without_a_laser(tmp_path):
    profile = loaded(tmp_path, (TEXT[TEXT.index("[laser]") :], ""))
    assert (profile.laser_nm, profile.maximum_on_s, profile.safety) == (None, 0.0, "")


def test_unit_that_tells_its_excitation_itself(tmp_path):
    profile = loaded(tmp_path, ("wavelength_nm = 785.0", 'wavelength_nm = "instrument"'))
    assert profile.laser_nm is None
    assert profile.maximum_on_s == 120.0
    with pytest.raises(FileError, match='a number or "instrument"'):
        loaded(tmp_path, ("wavelength_nm = 785.0", 'wavelength_nm = "red"'))


def test_warm_up_is_optional(tmp_path):
    assert loaded(tmp_path).warm_up_s == 0.0
    assert loaded(tmp_path, ("warning_s = 3", "warning_s = 3\nwarm_up_s = 12")).warm_up_s == 12.0


def test_options_and_wavelengths(tmp_path):
    added = '[protocol_options]\ndialect = "flame"\nfast = 115200\ntec = true\n\n'
    added += "[wavelength]\ncoefficients_nm = [790, 0.25, -1e-5]\n\n[laser]"
    profile = loaded(tmp_path, ("[laser]", added))
    assert dict(profile.options) == {"dialect": "flame", "fast": 115200, "tec": True}
    assert profile.wavelength_nm == (790.0, 0.25, -1e-5)
    with pytest.raises(TypeError):
        profile.options["dialect"] = "sad500"
    assert loaded(tmp_path).options == {}


@pytest.mark.parametrize(
    ("added", "key"),
    [
        ("[protocol_options]\nrates = [1, 2]", "protocol_options.rates"),
        ("[wavelength]\ncoefficients_nm = [1]", "wavelength.coefficients_nm"),
        ('[wavelength]\ncoefficients_nm = ["a", 2]', "wavelength.coefficients_nm"),
        ("[wavelength]\ncoefficients_nm = [nan, 2]", "wavelength.coefficients_nm"),
        ("[wavelength]\nother = 1", "wavelength.coefficients_nm"),
    ],
)
def test_wrong_table_is_named(tmp_path, added, key):
    with pytest.raises(FileError) as caught:
        loaded(tmp_path, ("[laser]", f"{added}\n\n[laser]"))
    assert caught.value.where == f"key {key}"
