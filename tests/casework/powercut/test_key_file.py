"""The key file under power cuts: once `SigningKey.save` has returned, the key is there, whole, for ever."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from spectralid.casework.errors import KeyFileError
from spectralid.casework.keys import SigningKey

from .cuts import cuts
from .disk import write_image
from .recording import SQLITE_FULL, SQLITE_IOERR_FSYNC, Recorder


def test_a_saved_key_survives_and_an_unsaved_one_is_whole_or_absent(ram: Path) -> None:
    folder, image = ram / "record", ram / "image"
    folder.mkdir()
    key = SigningKey.generate()
    with Recorder(folder).watching() as recorder:
        key.save(folder / "device.pem")
        recorder.mark("saved")
    seen = set()
    for cut in cuts(recorder.operations, random.Random(1), 40):
        write_image(image, cut.image)
        there = (image / "device.pem").exists()
        seen.add(there)
        if there or cut.acknowledged:
            assert SigningKey.load(image / "device.pem").keyid == key.keyid
        else:
            # What an interrupted attempt left does not keep the next one from succeeding.
            SigningKey.generate().save(image / "device.pem")
    assert seen == {True, False}


@pytest.mark.parametrize(("kind", "code"), [("write", SQLITE_FULL), ("sync", SQLITE_IOERR_FSYNC)])
def test_a_key_that_cannot_be_written_is_reported_and_leaves_no_key(ram: Path, kind: str, code: int) -> None:
    with Recorder(ram).watching() as recorder:
        recorder.fault = lambda asked, _name: code if asked == kind else 0
        with pytest.raises(KeyFileError, match="cannot be written"):
            SigningKey.generate().save(ram / "device.pem")
    assert not (ram / "device.pem").exists()
