"""Import from a folder and export to one: nothing dropped, nothing changed."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from spectralid import Spectrum, write
from spectralid.cli import main
from spectralid.errors import LibraryError, ParameterError, UnreadableFileError
from spectralid.library import Compound, describe, export_library, import_folder, importing, open_library
from spectralid.library.importing import Naming, Outcome
from spectralid.spectrum import Acquisition
from tests.library.builders import band_spectrum, build_small, small_library

TABLE = (
    Compound("caffeine", "Caffeine", synonyms=("Theine",), cas="58-08-2", category="adulterant/active"),
    Compound("cocaine", "Cocaine", cas="50-36-2"),
)


def put(folder, name, position, **facts):
    folder.mkdir(parents=True, exist_ok=True)
    spectrum = band_spectrum(position, **facts)
    write(spectrum.replace(name=facts.get("name", "")), folder / name)
    return spectrum


def entries(report):
    return {entry.file: entry for entry in report.entries}


def mapping(folder, text):
    path = folder / "map.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_bad_file_between_good_ones_is_reported_and_the_rest_goes_on(tmp_path):
    folder = tmp_path / "in"
    put(folder, "a caffeine.jdx", 500)
    put(folder, "caffeine.jdx", 600)
    (folder / "b bad.jdx").write_bytes(b"##TITLE=cut off\n##XYDATA=(X++(Y..Y))\n")
    (folder / "empty.csv").write_bytes(b"")
    put(folder / "sub", "Cocaine HCl.jdx", 700)
    (folder / ".hidden").write_bytes(b"x")
    report = import_folder(folder, tmp_path / "out.h5", compounds=TABLE)
    found = entries(report)
    assert {name: entry.outcome.value for name, entry in found.items()} == {
        "a caffeine.jdx": "unmatched",
        "b bad.jdx": "unreadable",
        "caffeine.jdx": "imported",
        "empty.csv": "unreadable",
        "sub/Cocaine HCl.jdx": "imported",
    }
    assert found["empty.csv"].message == "empty.csv: it is empty."
    assert found["b bad.jdx"].message.startswith("b bad.jdx")
    library = open_library(tmp_path / "out.h5")
    assert report.sha256 == library.sha256
    assert library.n_references == 3
    cocaine = library.reference(found["sub/Cocaine HCl.jdx"].reference_id)
    assert (cocaine.info.compound_slug, cocaine.info.form) == ("cocaine", "hydrochloride")
    assert cocaine.spectrum == band_spectrum(700)
    assert library.compound("caffeine").category == "adulterant/active"
    assert library.compound("a-caffeine").verification == "name only"
    assert report.to_dict()["counts"] == {"imported": 2, "unmatched": 1, "duplicate": 0, "unreadable": 2}


def test_header_before_file_name(tmp_path):
    folder = tmp_path / "in"
    facts = Acquisition(metadata={"CAS REGISTRY NO": "58-08-2"})
    put(folder, "Cocaine.jdx", 500, acquisition=facts)
    spectrum = put(folder, "sample 17.jdx", 600)
    write(spectrum.replace(name="Theine"), folder / "sample 17.jdx", overwrite=True)
    report = import_folder(folder, tmp_path / "out.h5", compounds=TABLE)
    assert [entry.compound_slug for entry in report.entries] == ["caffeine", "caffeine"]
    assert all("by its header" in entry.message for entry in report.entries)


def test_a_collection_says_where_its_files_name_the_substance(tmp_path):
    folder = tmp_path / "in"
    spectrum = put(folder, "0017.jdx", 500)
    write(spectrum.replace(name="#0017n - Cocaine HCl"), folder / "0017.jdx", overwrite=True)
    put(folder, "Theine__R040031__x.jdx", 600)
    put(folder, "Unknown__R040032__x.jdx", 700)
    put(folder, "Unknown__R040033__x.jdx", 710)
    titled = Naming(("title", "file"), r"^#\d+n - (?P<name>.+)$")
    report = import_folder(folder, tmp_path / "out.h5", compounds=TABLE, naming=titled)
    assert entries(report)["0017.jdx"].compound_slug == "cocaine"
    cocaine = open_library(tmp_path / "out.h5").reference(entries(report)["0017.jdx"].reference_id)
    assert cocaine.info.form == "hydrochloride"
    filed = Naming(("file",), r"^(?P<name>.+?)(?:__|$)")
    report = import_folder(folder, tmp_path / "out.h5", compounds=TABLE, naming=filed)
    assert [entry.compound_slug for entry in report.entries] == ["0017", "caffeine", "unknown", "unknown"]


def test_many_spectra_in_one_file_are_named_each_by_its_own_name(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    axis = np.arange(200.0, 1800, 20)
    lines = [",".join([*(f"{v:g}" for v in axis), "label"])]
    for i, name in enumerate(("Theine", "Unheard of", "Unheard of", "Other")):
        values = np.exp(-(((axis - 800 - 50 * i) / 60) ** 2))
        lines.append(",".join([*(f"{v:.4f}" for v in values), name]))
    (folder / "table.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    report = import_folder(folder, tmp_path / "out.h5", compounds=TABLE, technique="raman")
    assert [e.compound_slug for e in report.entries] == ["caffeine", "unheard-of", "unheard-of", "other"]


def test_a_licence_that_the_file_states_comes_before_that_of_the_collection(tmp_path):
    folder = tmp_path / "in"
    put(folder, "a.jdx", 500, acquisition=Acquisition(metadata={"License": "CC BY-NC"}))
    put(folder, "b.jdx", 600)
    import_folder(folder, tmp_path / "out.h5", compounds=TABLE, licence="CC BY 4.0", url="u", citation="c")
    references = open_library(tmp_path / "out.h5").references
    assert [r.licence for r in references] == ["CC BY-NC", "CC BY 4.0"]
    assert {(r.url, r.citation) for r in references} == {("u", "c")}


def test_the_same_spectrum_twice_is_kept_once_and_said(tmp_path):
    folder = tmp_path / "in"
    put(folder, "caffeine.jdx", 500)
    put(folder / "copy", "caffeine.jdx", 500)
    report = import_folder(folder, tmp_path / "out.h5", compounds=TABLE)
    (duplicate,) = report.with_outcome(Outcome.DUPLICATE)
    assert duplicate.message == "copy/caffeine.jdx: the same spectrum as caffeine.jdx; kept once."
    assert open_library(tmp_path / "out.h5").n_references == 1


def test_names_that_give_the_same_slug_stay_two_substances(tmp_path):
    folder = tmp_path / "in"
    put(folder, "甲.jdx", 500)
    put(folder, "乙.jdx", 600)
    report = import_folder(folder, tmp_path / "out.h5", compounds=TABLE)
    library = open_library(tmp_path / "out.h5")
    names = {entry.file: library.compound(entry.compound_slug).name for entry in report.entries}
    assert names == {"甲.jdx": "甲", "乙.jdx": "乙"}


def test_an_index_of_somebody_else_is_no_mapping(tmp_path):
    put(tmp_path / "in", "caffeine.jdx", 500)
    (tmp_path / "in" / "index.csv").write_text("file,colour\ncaffeine.jdx,white\n", encoding="utf-8")
    report = import_folder(tmp_path / "in", tmp_path / "out.h5", compounds=TABLE)
    assert report.mapping == ""
    assert [entry.outcome for entry in report.entries] == [Outcome.IMPORTED, Outcome.UNREADABLE]


def test_a_fault_inside_a_reader_costs_one_file(tmp_path, monkeypatch):
    folder = tmp_path / "in"
    put(folder, "a.jdx", 500)
    put(folder, "b.jdx", 600)
    original = importing.read_all

    def faulty(path, **options):
        if path.name == "a.jdx":
            raise ZeroDivisionError("division by zero")
        return original(path, **options)

    monkeypatch.setattr(importing, "read_all", faulty)
    report = import_folder(folder, tmp_path / "out.h5", compounds=TABLE)
    assert [entry.outcome for entry in report.entries] == [Outcome.UNREADABLE, Outcome.UNMATCHED]
    assert "ZeroDivisionError" in report.entries[0].message


def test_mapping_decides(tmp_path):
    folder = tmp_path / "in"
    put(folder, "1.jdx", 500)
    put(folder, "2.jdx", 600)
    put(folder, "3.jdx", 650)
    put(folder / "sub", "4.jdx", 700)
    text = (
        "file,slug,name,cas,form,category,tier,licence,url,quality\n"
        "1.jdx,,,58-08-2,,,,CC0-1.0,https://example.org,0.25\n"
        "2.jdx,,Cocaine HCl,,,,literature,,,\n"
        "3.jdx,own-thing,My thing,,polymorph II,mine/powder,computed,,,\n"
        "sub\\4.jdx,own-thing,,,,,,,,\n"
        "gone.jdx,,Gone,,,,,,,\n"
    )
    report = import_folder(
        folder,
        tmp_path / "out.h5",
        mapping(tmp_path, text),
        compounds=TABLE,
        licence="CC-BY-4.0",
        source="me",
    )
    library = open_library(tmp_path / "out.h5")
    infos = {
        entry.file: library.reference(entry.reference_id).info
        for entry in report.entries
        if entry.reference_id
    }
    assert [(i.compound_slug, i.form, i.tier.value, i.licence) for i in infos.values()] == [
        ("caffeine", "", "measured", "CC0-1.0"),
        ("cocaine", "hydrochloride", "literature", "CC-BY-4.0"),
        ("own-thing", "polymorph II", "computed", "CC-BY-4.0"),
        ("own-thing", "", "measured", "CC-BY-4.0"),
    ]
    assert (infos["1.jdx"].url, infos["1.jdx"].quality, infos["1.jdx"].source) == (
        "https://example.org",
        0.25,
        "me",
    )
    assert library.compound("caffeine") == TABLE[0]
    assert library.compound("cocaine") == TABLE[1]
    own = library.compound("own-thing")
    assert (own.name, own.category) == ("My thing", "mine/powder")
    assert entries(report)["gone.jdx"].message == "gone.jdx: the mapping names it, but there is no such file."


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name\nx\n", "line 1: the column 'file' is missing"),
        ("file,colour\na.jdx,red\n", "line 1: the column 'colour' is unknown"),
        ("file,name\na.jdx,A\na.jdx,B\n", "line 3: the file 'a.jdx' was there already"),
        ("file,name\n,A\n", "line 2: the file is not named"),
        ("file,tier\na.jdx,\nb.jdx,guess\n", "line 3: tier must be one of measured, literature, computed"),
        ("file,technique\na.jdx,nmr\n", "line 2: technique must be one of"),
        ("file,slug\na.jdx,Not A Slug\n", "line 2: slug must be"),
        ("file,quality\na.jdx,good\n", "line 2: quality must be a number from -1 to 1"),
        ("file,slug,cas\na.jdx,x,50-36-2\nb.jdx,x,58-08-2\n", "line 3: it says cas '58-08-2' of x"),
    ],
)
def test_mistakes_in_the_mapping_are_told_with_their_line(tmp_path, text, says):
    put(tmp_path / "in", "a.jdx", 500)
    put(tmp_path / "in", "b.jdx", 600)
    with pytest.raises(UnreadableFileError, match=r"map\.csv, line") as caught:
        import_folder(tmp_path / "in", tmp_path / "out.h5", mapping(tmp_path, text), compounds=TABLE)
    assert says in str(caught.value)
    assert not (tmp_path / "out.h5").exists()


def test_several_rows_may_each_say_a_part_of_one_compound(tmp_path):
    put(tmp_path / "in", "a.jdx", 500)
    put(tmp_path / "in", "b.jdx", 600)
    text = "file,slug,cas,formula\na.jdx,x,,C8\nb.jdx,x,58-08-2,\n"
    import_folder(tmp_path / "in", tmp_path / "out.h5", mapping(tmp_path, text), compounds=())
    compound = open_library(tmp_path / "out.h5").compound("x")
    assert (compound.cas, compound.formula) == ("58-08-2", "C8")


def test_a_technique_nobody_states_is_reported_and_can_be_given(tmp_path):
    folder = tmp_path / "in"
    put(folder, "caffeine.jdx", 500, technique="unknown")
    report = import_folder(folder, tmp_path / "out.h5", compounds=TABLE)
    assert "say Raman or infrared" in report.entries[0].message
    assert report.library == ""
    assert not (tmp_path / "out.h5").exists()
    report = import_folder(folder, tmp_path / "out.h5", compounds=TABLE, technique="raman")
    assert report.with_outcome(Outcome.IMPORTED)


def test_folders_that_cannot_be_imported(tmp_path):
    with pytest.raises(ParameterError, match="a folder that exists"):
        import_folder(tmp_path / "absent", tmp_path / "out.h5")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ParameterError, match="with spectrum files in it"):
        import_folder(tmp_path / "empty", tmp_path / "out.h5")


@pytest.mark.parametrize("format", ["jcamp-dx", "text"])
def test_export_and_import_again_gives_the_same_spectra(tmp_path, format):
    library = small_library(tmp_path)
    assert export_library(library, tmp_path / "out", format) == 6
    report = import_folder(tmp_path / "out", tmp_path / "again.h5", compounds=())
    assert report.mapping.endswith("index.csv")
    assert len(report.with_outcome(Outcome.IMPORTED)) == 6
    again = open_library(tmp_path / "again.h5")
    assert {r.id: r for r in again.references} == {r.id: r for r in library.references}
    assert set(again.compounds) == {library.compound(r.compound_slug) for r in library.references}


def test_import_notices_a_file_changed_since_the_export(tmp_path):
    library = small_library(tmp_path)
    export_library(library, tmp_path / "out")
    changed = sorted((tmp_path / "out").glob("*raman*.jdx"))[0]
    write(Spectrum([300.0, 400.0, 500.0], [1.0, 2.0, 1.0], technique="raman"), changed, overwrite=True)
    report = import_folder(tmp_path / "out", tmp_path / "again.h5", compounds=())
    (entry,) = report.with_outcome(Outcome.UNREADABLE)
    assert entry.file == changed.name
    assert "not the one the mapping names" in entry.message


def test_export_refuses_a_folder_in_use_and_unknown_formats(tmp_path):
    library = small_library(tmp_path)
    with pytest.raises(ParameterError, match="an empty folder"):
        export_library(library, tmp_path)
    with pytest.raises(ParameterError, match="format must be one of"):
        export_library(library, tmp_path / "out", "spc")


def test_describe_counts(tmp_path):
    facts = describe(small_library(tmp_path))
    assert facts["tiers"] == {"measured": 4, "computed": 1, "literature": 1}
    assert facts["techniques"] == {"raman": 4, "ftir_atr": 2}
    assert facts["categories"] == {"test/one": 6}
    assert facts["licences"] == {"CC0-1.0": 4, "not stated": 2}
    assert (facts["references"], facts["compounds"], facts["schema"]) == (6, 4, "1.1")
    assert facts["file_bytes"] == (tmp_path / "small.h5").stat().st_size


class TestCommands:
    def test_import(self, tmp_path, capsys):
        folder = tmp_path / "in"
        put(folder, "caffeine.jdx", 500)
        arguments = [
            "library",
            "import",
            str(folder),
            "-o",
            str(tmp_path / "mine.h5"),
            "--created",
            "2026-01-01",
        ]
        assert main(arguments) == 0
        assert "1 imported, 0 unmatched, 0 duplicate, 0 unreadable." in capsys.readouterr().out
        (folder / "bad.csv").write_bytes(b"\x00\x01\x02" * 50)
        kept = (tmp_path / "mine.h5").read_bytes()
        assert main([*arguments, "--json", "--licence", "CC0-1.0"]) == 2
        assert "--force" in capsys.readouterr().err
        assert (tmp_path / "mine.h5").read_bytes() == kept
        assert main([*arguments, "--json", "--licence", "CC0-1.0", "--force"]) == 3
        report = json.loads(capsys.readouterr().out)
        assert report["counts"]["imported"] == 1
        assert [e["outcome"] for e in report["entries"] if e["file"] == "bad.csv"] == ["unreadable"]
        library = open_library(tmp_path / "mine.h5")
        assert (library.name, library.manifest["created"]) == ("mine", "2026-01-01")
        assert library.references[0].licence == "CC0-1.0"
        assert main(["library", "import", str(tmp_path / "absent"), "-o", str(tmp_path / "x.h5")]) == 2

    def test_info_and_verify(self, tmp_path, capsys):
        build_small(tmp_path / "small.h5")
        assert main(["library", "info", str(tmp_path / "small.h5")]) == 0
        assert "6 references of 4 of 4 compounds" in capsys.readouterr().out
        assert main(["library", "info", str(tmp_path / "small.h5"), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["techniques"] == {"raman": 4, "ftir_atr": 2}
        assert main(["library", "verify", str(tmp_path / "small.h5")]) == 0
        assert "intact" in capsys.readouterr().out
        data = bytearray((tmp_path / "small.h5").read_bytes())
        matrix = open_library(tmp_path / "small.h5").matrix("raman")
        data[data.index(matrix.tobytes()) + 2000] ^= 1
        (tmp_path / "small.h5").write_bytes(data)
        assert main(["library", "verify", str(tmp_path / "small.h5")]) == 4
        assert "is damaged" in capsys.readouterr().err
        assert main(["library", "verify", str(tmp_path / "small.h5"), "--json"]) == 4
        assert json.loads(capsys.readouterr().out)["intact"] is False
        (tmp_path / "small.h5").write_bytes(b"")
        assert main(["library", "info", str(tmp_path / "small.h5")]) == 4

    def test_export(self, tmp_path, capsys):
        build_small(tmp_path / "small.h5")
        assert (
            main(["library", "export", str(tmp_path / "small.h5"), "-o", str(tmp_path / "out"), "--json"])
            == 0
        )
        assert json.loads(capsys.readouterr().out)["references"] == 6
        with (tmp_path / "out" / "index.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 6
        assert all((tmp_path / "out" / row["file"]).is_file() for row in rows)
        assert main(["library", "export", str(tmp_path / "small.h5"), "-o", str(tmp_path / "out")]) == 2


def test_a_reference_a_format_cannot_hold_is_an_error_not_a_loss(tmp_path, monkeypatch):
    library = small_library(tmp_path, raman=1, infrared=0)
    other = Spectrum(np.array([1.0, 2.0]), np.array([1.0, 2.0]), technique="raman")
    monkeypatch.setattr("spectralid.library.export.read", lambda path: other)
    with pytest.raises(LibraryError, match="without loss"):
        export_library(library, tmp_path / "out")
