"""Every reader of bytes from outside is fuzzed: found by what the targets call, not by a list of names."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any

import pytest

from benchmarks import fuzz, fuzz_page
from spectralid.devices import codec
from spectralid.io import _registry
from tests.faults.files import FOUND
from tests.fuzz.targets import TARGETS

# The parsers that the issue of hardening names, beside formats and codecs, and others of their kind.
NAMED = (
    "spectralid.calibration:AxisCalibration.from_dict",
    "spectralid.casework.manifest:loads",
    "spectralid.casework.manifest:check",
    "spectralid.casework.messages:parse",
    "spectralid.casework.packet:open_packet",
    "spectralid.devices.opus_rs:parse_page",
    "spectralid.devices.profile:load_profile",
    "spectralid.io._registry:read_all",
    "spectralid.library.bands:read_bands",
    "spectralid.library.compounds:read_compounds",
    "spectralid.library.rds:read_rds",
    "spectralid.library.unpack:unpack",
    "spectralid.qa.manifest:read_manifest",
    "spectralid.reachback.lab.results_csv:read",
    "spectralid.verdict.policy_file:read_policy",
)


# The reader of HDF5 reads NeXus too, and files of it are among its seeds; the other entry is for writing.
READ_BY = {"nexus": "hdf5"}


@pytest.fixture(scope="module")
def called() -> set[tuple[CodeType, type]]:
    """What runs when each target reads its own sound inputs: functions, and the types they are methods of."""
    seen: set[tuple[CodeType, type]] = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and "spectralid" in frame.f_code.co_filename:
            seen.add((frame.f_code, type(frame.f_locals.get("self"))))

    before = sys.getprofile()
    for target in (*TARGETS, fuzz._hdf5()):
        inputs = target.made()
        sys.setprofile(note)
        try:
            for data in inputs:
                target.try_one(data)
        finally:
            sys.setprofile(before)
    return seen


def _code(place: str) -> CodeType:
    module, _, path = place.partition(":")
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    code: CodeType = inspect.unwrap(found).__code__
    return code


@pytest.mark.parametrize("known", _registry.formats(), ids=lambda known: known.name)
def test_every_registered_reader_is_fuzzed(known, called):
    (reader,) = (one for one in _registry.formats() if one.name == READ_BY.get(known.name, known.name))
    assert reader is known or known.sniff(_registry.Source("any", b"any")) == 0
    assert inspect.unwrap(reader.read).__code__ in {code for code, _ in called}, "give it a target"


def _of_codecs() -> Iterator[tuple[str, Any]]:
    """What takes bytes apart in the rooms of the protocols: decoders, and functions that read."""
    for found in pkgutil.iter_modules(codec.__path__, "spectralid.devices.codec."):
        for name, one in vars(importlib.import_module(found.name)).items():
            if getattr(one, "__module__", "") != found.name or name.startswith("_"):
                continue
            is_decoder = inspect.isclass(one) and hasattr(one, "feed") and not inspect.isabstract(one)
            if is_decoder or (inspect.isfunction(one) and name.startswith(("decode", "parse", "read"))):
                yield f"{found.name.rpartition('.')[2]}:{name}", one


@pytest.mark.parametrize("one", [pytest.param(one, id=name) for name, one in _of_codecs()])
def test_every_codec_is_fuzzed(one, called):
    if inspect.isclass(one):
        assert (one.feed.__code__, one) in called, "give it a target"
    else:
        assert one.__code__ in {code for code, _ in called}, "give it a target"


@pytest.mark.parametrize("place", NAMED)
def test_every_parser_that_was_named_is_fuzzed(place, called):
    assert _code(place) in {code for code, _ in called}, "give it a target"


def test_the_page_is_that_of_the_figures():
    written = fuzz_page.PAGE.read_text(encoding="utf-8")
    assert written == fuzz_page.text(fuzz_page.rows(), FOUND), "run python -m benchmarks.fuzz_page"
