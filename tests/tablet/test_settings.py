"""Settings survive restarts and power cuts, and nothing odd gets into them."""

import os

import pytest

from spectralid.errors import ParameterError
from spectralid.tablet.settings import Settings, load_settings, save_settings


def test_settings_come_back(tmp_path):
    file = tmp_path / "settings.json"
    wanted = Settings(officer="K-17", site="Nogales 2", language="es", theme="night")
    save_settings(file, wanted)
    assert load_settings(file) == wanted
    assert [f.name for f in tmp_path.iterdir()] == ["settings.json"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"language": "xx"}', '{"new": 1}', '{"officer": 3}', "\x00"]
)
def test_what_is_not_understood_gives_the_defaults(tmp_path, text):
    file = tmp_path / "settings.json"
    file.write_text(text)
    assert load_settings(file) == Settings()


def test_no_file_gives_the_defaults(tmp_path):
    assert load_settings(tmp_path / "none.json") == Settings()


@pytest.mark.parametrize(
    "wanted",
    [
        {"language": "fr"},
        {"theme": "dusk"},
        {"officer": "<b>"},
        {"officer": "x" * 65},
        {"site": 3},
        {"colour": "red"},
    ],
)
def test_what_is_not_allowed_is_refused_by_name(wanted):
    with pytest.raises(ParameterError, match=next(iter(wanted))):
        Settings().changed(wanted)


def test_a_cut_while_writing_leaves_the_old(tmp_path, monkeypatch):
    file = tmp_path / "settings.json"
    save_settings(file, Settings(officer="old"))

    def cut(*args, **kwargs):
        raise OSError("power")

    monkeypatch.setattr(os, "fsync", cut)
    with pytest.raises(OSError, match="power"):
        save_settings(file, Settings(officer="new"))
    assert load_settings(file).officer == "old"
