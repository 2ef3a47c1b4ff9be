"""One machine, one answer: its bytes do not depend on process, hash seed, place, time or threads."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spectralid import read_all, write
from spectralid.identify import Identification, Identifier, identify_many
from spectralid.verdict import decide
from tests.robustness.spectra import HOSTILE
from tests.robustness.test_scale import simulated

PROGRAM = """
import hashlib, json, sys
from spectralid import open_library, read_all
from spectralid.identify import Identifier
from spectralid.verdict import decide
with open_library() as library:
    engine = Identifier(library)
    for spectrum in read_all(sys.argv[1]):
        identification = engine.identify(spectrum, context={"declared": "sugar"})
        told = json.dumps(decide(identification, library).to_dict(), sort_keys=True)
        print(hashlib.sha256((identification.to_json() + told).encode()).hexdigest())
"""
NAMES = ("gaps",)
# The replay of packets (test_replay) is another fresh process, with other settings.
ELSEWHERE = {
    "PYTHONHASHSEED": "4711", "TZ": "America/Lima", "LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8",
    "OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2",
}  # fmt: skip


@pytest.fixture(scope="module")
def spectra(tmp_path_factory: pytest.TempPathFactory, engine: Identifier) -> Path:
    file = tmp_path_factory.mktemp("spectra") / "some.h5"
    some = [HOSTILE[name]().replace(name=name) for name in NAMES]
    some += [simulated(engine, "raman", "caffeine"), simulated(engine, "ftir_atr", "polystyrene")]
    write(some, file)
    return file


def test_bytes_are_the_same_in_another_process(spectra: Path, engine: Identifier) -> None:
    here = []
    for spectrum in read_all(spectra):
        identification = engine.identify(spectrum, context={"declared": "sugar"})
        told = json.dumps(decide(identification, engine.library).to_dict(), sort_keys=True)
        here.append(hashlib.sha256((identification.to_json() + told).encode()).hexdigest())
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(spectra)],
        env={**os.environ, **ELSEWHERE}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(here) == len(NAMES) + 2
    assert done.stdout.split() == here


def test_order_repetition_and_processes_change_nothing(spectra: Path, engine: Identifier) -> None:
    some = read_all(spectra)
    once = [engine.identify(spectrum).to_json() for spectrum in some]
    again = [engine.identify(spectrum).to_json() for spectrum in reversed(some)][::-1]
    assert again == once
    for processes in (1, 2):
        many = identify_many(some, engine, processes=processes)
        assert [one.to_json() for one in many if isinstance(one, Identification)] == once


def test_the_verdict_of_a_result_that_was_stored_is_the_same(spectra: Path, engine: Identifier) -> None:
    for spectrum in read_all(spectra)[-2:]:
        identification = engine.identify(spectrum)
        back = Identification.from_json(identification.to_json())
        assert decide(back, engine.library).to_dict() == decide(identification, engine.library).to_dict()
        assert np.isfinite([c.score for c in back.candidates]).all()
