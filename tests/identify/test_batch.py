"""Batches: the same results as one by one, in order, whatever goes wrong with one of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from spectralid.errors import (
    FileError,
    InvalidSpectrumError,
    LibraryError,
    ParameterError,
    TechniqueError,
    TransportError,
)
from spectralid.identify import BatchError, Identification, batch, identify, identify_each, identify_many
from spectralid.identify.engine import Identifier
from spectralid.library import Compound, ReferenceLibrary, Tier
from spectralid.spectrum import Acquisition, Spectrum, Technique
from tests.identify.builders import GRID, library, raman, substance, with_noise


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> ReferenceLibrary:
    entries = [
        (
            Compound(f"compound-{i}", f"Compound {i}", hazards=("none",)),
            raman(substance(GRID, i)),
            Tier.MEASURED,
        )
        for i in range(4)
    ]
    return library(tmp_path_factory.mktemp("batch"), entries)


def scan(seed: int) -> Spectrum:
    return raman(1000 * with_noise(substance(GRID, seed) + 1.0, 0.01, seed), name=f"scan {seed}")


PEAKS = raman(substance(GRID, 1), acquisition=Acquisition(flags=frozenset({"peak_table"})))
INFRARED = Spectrum(GRID, substance(GRID, 1), technique=Technique.FTIR_ATR)


def test_processes_change_nothing(shelf: ReferenceLibrary) -> None:
    spectra = [scan(2), PEAKS, scan(0), scan(3), INFRARED, scan(1)]
    done: list[int] = []
    context = {"container": "glass"}
    serial = identify_many(spectra, shelf, processes=1, top=3, context=context)
    parallel = identify_many(spectra, shelf, processes=2, top=3, context=context, progress=done.append)
    assert done == [1, 2, 3, 4, 5, 6]
    assert [type(r) for r in parallel] == [
        Identification, InvalidSpectrumError, Identification, Identification, TechniqueError, Identification,
    ]  # fmt: skip
    for one, other in zip(serial, parallel, strict=True):
        if isinstance(one, Identification):
            assert isinstance(other, Identification)
            assert one.to_json() == other.to_json()
        else:
            assert str(one) == str(other)
    first = parallel[0]
    assert isinstance(first, Identification)
    assert first.to_json() == identify(spectra[0], shelf, top=3, context=context).to_json()
    assert first.analysis is not None
    assert first.analysis.components[0].compound_slug == "compound-2"


def test_spectra_are_taken_as_they_are_needed(shelf: ReferenceLibrary) -> None:
    taken: list[int] = []

    def source() -> Iterator[Spectrum]:
        for i in range(1000):
            taken.append(i)
            yield PEAKS

    results = identify_each(source(), shelf, processes=1)
    assert isinstance(next(results), InvalidSpectrumError)
    assert len(taken) == 1


def test_a_defect_on_one_spectrum_leaves_the_others(
    shelf: ReferenceLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Identifier.identify

    def defective(self: Identifier, spectrum: Spectrum, **options: object) -> Identification:
        if spectrum.name == "scan 1":
            raise ZeroDivisionError("division by zero")
        return whole(self, spectrum, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Identifier, "identify", defective)
    first, second, third = identify_many([scan(0), scan(1), scan(2)], shelf, processes=1)
    assert isinstance(first, Identification)
    assert isinstance(third, Identification)
    assert isinstance(second, BatchError)
    assert "ZeroDivisionError" in str(second)


class Fatal(Spectrum):
    """A spectrum whose arrival kills the process, as running out of memory does."""

    def __reduce__(self) -> tuple[object, ...]:
        return os._exit, (1,)


def test_a_process_that_dies_costs_its_own_spectrum_only(shelf: ReferenceLibrary) -> None:
    fatal = Fatal(GRID, substance(GRID, 1), technique=Technique.RAMAN)
    results = identify_many([scan(0), fatal, scan(2)], shelf, processes=2)
    assert [type(r) for r in results] == [Identification, BatchError, Identification]
    assert "died" in str(results[1])


def test_what_is_wrong_for_all_is_raised(shelf: ReferenceLibrary) -> None:
    with pytest.raises(ParameterError, match="processes"):
        identify_many([scan(0)], shelf, processes=0)
    for processes in (1, 2):
        with pytest.raises(ParameterError, match="top"):
            identify_many([scan(0)], shelf, processes=processes, top=1)


def test_a_process_that_cannot_begin_says_why(
    shelf: ReferenceLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path, sha256, why in (
        (shelf.path, "0" * 64, "replaced"),
        (shelf.path / "gone", shelf.sha256, "gone"),
    ):
        monkeypatch.setattr(batch, "_held", [])
        batch._begin(path, sha256, None, (), ())
        with pytest.raises(LibraryError, match=why):
            batch._work({}, scan(0))


def test_nothing_gives_nothing(shelf: ReferenceLibrary) -> None:
    assert identify_many([], shelf, processes=2) == []


@pytest.mark.parametrize(
    "error",
    [
        ParameterError("top", 1, "at least 2"),
        FileError("it is empty.", file="a.csv", where="line 1"),
        TransportError("no answer.", kind="timeout"),
    ],
)
def test_errors_come_back_from_a_process_as_they_were(error: Exception) -> None:
    import pickle

    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_the_library_file_must_be_the_one_that_was_opened(tmp_path: Path) -> None:
    from spectralid.errors import LibraryError

    one = library(tmp_path, [(Compound("a", "A"), raman(substance(GRID, 0)), Tier.MEASURED)])
    library(tmp_path, [(Compound("b", "B"), raman(substance(GRID, 1)), Tier.MEASURED)])
    with pytest.raises(LibraryError):
        identify_many([scan(0)], one, processes=2)
