"""Damaged, truncated, foreign and newer files: one sentence each, and no wrong value ever."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

from spectralid.errors import LibraryError
from spectralid.library import ReferenceLibrary, open_library, verify_library
from spectralid.library.schema import canonical_json, dataset_entry, manifest_sha256
from tests.library.builders import build_small


@pytest.fixture(scope="module")
def intact(tmp_path_factory):
    path = tmp_path_factory.mktemp("intact") / "small.h5"
    build_small(path, raman=3, infrared=1)
    return path


BLOCKS = (("raman", None), ("raman", "computed"), ("ftir", None))


@pytest.fixture(scope="module")
def places(intact):
    """First byte and length of every dataset."""
    with h5py.File(intact) as file:
        found = {}
        file.visititems(
            lambda name, node: (
                found.update({f"/{name}": (node.id.get_offset(), node.nbytes)})
                if isinstance(node, h5py.Dataset) and node.size
                else None
            )
        )
    return found


def flipped(intact, tmp_path, position, mask=0x01):
    data = bytearray(intact.read_bytes())
    data[position] ^= mask
    path = tmp_path / "damaged.h5"
    path.write_bytes(data)
    return path


def content(path):
    """Everything a library gives."""
    library = ReferenceLibrary(path)
    return (
        library.sha256,
        library.compounds,
        [(info, library.reference(info.id).spectrum.sha256) for info in library.references],
        [np.array(library.matrix(*block)).tobytes() for block in BLOCKS],
        [library.grid(t).tobytes() for t in library.techniques],
        [library.rows(*block) for block in BLOCKS],
    )


def test_an_intact_library_has_no_problems(intact):
    assert verify_library(intact) == ()


def test_any_flipped_byte_of_any_dataset_is_found(intact, places, tmp_path):
    rng = np.random.default_rng(1)
    assert len(places) == 18
    for name, (offset, length) in places.items():
        spots = {0, length - 1, *rng.integers(0, length, 12).tolist()}
        for spot in spots:
            path = flipped(intact, tmp_path, offset + spot, mask=int(rng.choice([1, 0x80, 0xFF])))
            problems = verify_library(path)
            assert problems, f"byte {spot} of {name}"
            assert all(p[0].isupper() or "damaged.h5" in p for p in problems)


def test_a_flipped_byte_anywhere_is_found_or_changes_nothing(intact, tmp_path):
    size = intact.stat().st_size
    truth = content(intact)
    found = 0
    spots = {*range(0, 2048, 16), *np.linspace(0, size - 1, 150).astype(int).tolist()}
    for spot in sorted(spots):
        path = flipped(intact, tmp_path, spot, mask=0xFF)
        if verify_library(path):
            found += 1
        else:
            # Only bytes between the structures are not covered by a checksum.
            assert content(path) == truth
    assert found > len(spots) / 3


def test_verify_names_the_damaged_entry(intact, places, tmp_path):
    library = ReferenceLibrary(intact)
    offset, _ = places["/grids/raman/matrix"]
    path = flipped(intact, tmp_path, offset + 1024 * 4 * 1 + 1200)
    second = library.rows("raman")[1].id
    assert any(f"gridded spectrum of reference {second} " in p for p in verify_library(path))
    assert not any(library.rows("raman")[0].id in p for p in verify_library(path))

    offset, _ = places["/grids/raman/computed"]
    path = flipped(intact, tmp_path, offset + 1000)
    (computed,) = library.rows("raman", "computed")
    assert f"The gridded spectrum of reference {computed.id} is damaged." in verify_library(path)
    with pytest.raises(LibraryError, match="/grids/raman/computed does not have its checksum"):
        ReferenceLibrary(path).matrix("raman", "computed")

    index = library.raw("/native/index")
    offset, _ = places["/native/float64"]
    path = flipped(intact, tmp_path, offset + 8 * int(index[2, 4]) + 800)
    third = library.references[2].id
    problems = verify_library(path)
    assert [p for p in problems if "The spectrum of" in p] == [
        f"The spectrum of reference {third} is damaged."
    ]


def test_a_damaged_spectrum_is_never_handed_out(intact, places, tmp_path):
    library = ReferenceLibrary(intact)
    offset, _ = places["/native/float64"]
    path = flipped(intact, tmp_path, offset + 8 * int(library.raw("/native/index")[1, 4]) + 8 * 250)
    damaged = ReferenceLibrary(path)
    with pytest.raises(LibraryError, match="not the one that was stored"):
        damaged.reference(library.references[1].id)
    assert (
        damaged.reference(library.references[2].id).spectrum.sha256 == library.references[2].spectrum_sha256
    )


@pytest.mark.parametrize(
    "dataset", ["/compounds", "/references/info", "/grids/raman/rows", "/grids/raman/axis"]
)
def test_damaged_metadata_is_refused_when_it_is_used(intact, places, tmp_path, dataset):
    offset, length = places[dataset]
    damaged = ReferenceLibrary(flipped(intact, tmp_path, offset + length // 2))
    with pytest.raises(LibraryError, match=f"{dataset} does not have its checksum"):
        damaged.compounds, damaged.references, damaged.rows("raman"), damaged.grid("raman")


@pytest.mark.parametrize("dataset", ["/references/info", "/grids/raman/rows"])
def test_damage_is_not_taken_for_a_library_without_references(intact, places, tmp_path, dataset):
    offset, length = places[dataset]
    damaged = ReferenceLibrary(flipped(intact, tmp_path, offset + length // 2))
    with pytest.raises(LibraryError, match=f"{dataset} does not have its checksum"):
        damaged.holds("raman")


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 100, 511, 2000, -4096, -1])
def test_truncated(intact, tmp_path, keep):
    data = intact.read_bytes()
    path = tmp_path / "short.h5"
    path.write_bytes(data[:keep])
    with pytest.raises(LibraryError, match=r"short\.h5: .*(damaged|cut short)") as caught:
        open_library(path)
    assert str(caught.value).count("\n") == 0
    assert verify_library(path) == (str(caught.value),)


def test_every_truncation_is_found(intact, tmp_path):
    data = intact.read_bytes()
    path = tmp_path / "short.h5"
    for keep in np.linspace(0, len(data) - 1, 60).astype(int):
        path.write_bytes(data[:keep])
        assert verify_library(path), keep


@pytest.mark.parametrize(
    "data", [b"", b"not hdf5", b"\x89HDF\r\n\x1a\n" + bytes(500), b"##TITLE=x\n##END=\n"]
)
def test_not_a_library(tmp_path, data):
    path = tmp_path / "other.h5"
    path.write_bytes(data)
    with pytest.raises(LibraryError, match="not a library"):
        open_library(path)


def test_another_hdf5_file(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.arange(3)
    with pytest.raises(LibraryError, match="is not a spectralid library"):
        open_library(tmp_path / "other.h5")


def rewritten(intact, path, *, schema=None, change=None, extra=None, compress=False):
    """The library with another schema, a changed manifest, more datasets or compression."""
    with h5py.File(intact) as old, h5py.File(path, "w") as new:
        new.attrs["format"] = old.attrs["format"]
        new.attrs["schema"] = schema or old.attrs["schema"]

        def copy(name, node):
            if not isinstance(node, h5py.Dataset):
                return
            values = node[()]
            if name == "manifest" and change:
                manifest = json.loads(values.tobytes())
                change(manifest)
                manifest["sha256"] = manifest_sha256(manifest)
                values = np.frombuffer(canonical_json(manifest), np.uint8)
            new.create_dataset(name, data=values, compression="gzip" if compress and values.size else None)

        old.visititems(copy)
        for name, values in (extra or {}).items():
            new[name] = values
    return path


def test_newer_minor_version_opens_and_what_is_unknown_is_ignored(intact, tmp_path):
    def change(manifest):
        manifest["signed_by"] = "somebody"

    path = rewritten(
        intact,
        tmp_path / "newer.h5",
        schema="1.7",
        change=change,
        extra={"/grids/terahertz/axis": np.arange(4.0)},
    )
    assert content(path)[1:] == content(intact)[1:]
    assert verify_library(path) == ()


def test_columns_of_a_newer_minor_version_are_ignored(intact, tmp_path):
    with h5py.File(intact) as file:
        columns = json.loads(file["/references/info"][()].tobytes())
        compounds = json.loads(file["/compounds"][()].tobytes())
    columns["purity"] = [0.9] * len(columns["id"])
    compounds["melting_point"] = [1.0] * len(compounds["slug"])
    arrays = {
        "/references/info": np.frombuffer(canonical_json(columns), np.uint8),
        "/compounds": np.frombuffer(canonical_json(compounds), np.uint8),
    }
    path = tmp_path / "newer.h5"

    def change(manifest):
        manifest["datasets"].update({name: dataset_entry(values) for name, values in arrays.items()})

    rewritten(intact, path, schema="1.1", change=change)
    with h5py.File(path, "a") as file:
        for name, values in arrays.items():
            del file[name]
            file[name] = values
    assert content(path)[1:] == content(intact)[1:]


def test_newer_major_version_is_refused(intact, tmp_path):
    path = rewritten(intact, tmp_path / "newer.h5", schema="2.0")
    with pytest.raises(LibraryError, match=r"format 2\.0, newer than the 1\.x .* update spectralid"):
        open_library(path)


def test_schema_that_is_no_version(intact, tmp_path):
    with pytest.raises(LibraryError, match="states no version"):
        open_library(rewritten(intact, tmp_path / "newer.h5", schema="new"))


def test_compressed_by_another_program(intact, tmp_path):
    with pytest.raises(LibraryError, match="compressed or chunked"):
        open_library(rewritten(intact, tmp_path / "packed.h5", compress=True))


def test_a_dataset_that_is_missing_or_of_another_shape(intact, tmp_path):
    path = rewritten(intact, tmp_path / "cut.h5")
    with h5py.File(path, "a") as file:
        del file["/grids/raman/matrix"]
    with pytest.raises(LibraryError, match="/grids/raman/matrix is missing or has another form"):
        open_library(path)
    with h5py.File(path, "a") as file:
        file["/grids/raman/matrix"] = np.zeros((1, 2), np.float32)
    with pytest.raises(LibraryError, match="/grids/raman/matrix is missing or has another form"):
        open_library(path)


def test_a_manifest_someone_edited(intact, tmp_path):
    path = rewritten(intact, tmp_path / "edited.h5")
    with h5py.File(path, "a") as file:
        manifest = json.loads(file["manifest"][()].tobytes())
        manifest["version"] = "9"
        del file["manifest"]
        file["manifest"] = np.frombuffer(canonical_json(manifest), np.uint8)
    with pytest.raises(LibraryError, match="manifest does not have its checksum"):
        open_library(path)
