"""Merging libraries and selecting from one."""

from __future__ import annotations

import dataclasses
import json

import pytest

from spectralid.cli import main
from spectralid.errors import LibraryError, ParameterError, UnreadableFileError
from spectralid.library import (
    Compound,
    Tier,
    compare_libraries,
    merge_libraries,
    open_library,
    read_watch_list,
    subset_library,
    verify_library,
)
from tests.library.builders import band_spectrum, build_small, compound, small_library
from tests.library.test_difference import built

COCAINE = Compound(
    "cocaine", "Cocaine", synonyms=("Methyl benzoylecgonine",), cas="50-36-2", category="drug/stimulant",
    inchikey="ZPUCINDJVBIVPJ-LJISPDSOSA-N",
)  # fmt: skip
CAFFEINE = Compound("caffeine", "Caffeine", cas="58-08-2", category="adulterant/active")
TALC = Compound("talc", "Talc", category="adulterant/inert")


@pytest.fixture
def library(tmp_path):
    return built(
        tmp_path / "all.h5",
        (band_spectrum(500), COCAINE, {"licence": "MIT"}),
        (band_spectrum(600), COCAINE, {"form": "hydrochloride", "tier": Tier.COMPUTED}),
        (band_spectrum(700, technique="ftir_atr", unit="absorbance"), COCAINE, {}),
        (band_spectrum(800), CAFFEINE, {"tier": Tier.LITERATURE}),
        (band_spectrum(900), TALC, {}),
        name="all", version="7",
    )  # fmt: skip


class TestMerge:
    def test_union_keeps_everything_and_the_same_reference_once(self, tmp_path):
        shared = (
            band_spectrum(500),
            COCAINE,
            {"licence": "MIT", "url": "u", "citation": "c", "quality": 0.5},
        )
        a = built(tmp_path / "a.h5", shared, (band_spectrum(600), CAFFEINE, {"form": "hydrate"}))
        b = built(tmp_path / "b.h5", (band_spectrum(900), TALC, {"licence": "CC0-1.0"}), shared)
        report = merge_libraries([a, b], tmp_path / "c.h5", version="2", created="2026-01-01")
        merged = open_library(tmp_path / "c.h5")
        assert report.sha256 == merged.sha256
        assert (report.compounds, report.references) == (3, 3)
        assert report.duplicates == (a.references[0].id,)
        assert dict(report.licences) == {"CC0-1.0": 1, "MIT": 1, "not stated": 1}
        assert (merged.name, merged.version, merged.manifest["created"]) == ("c", "2", "2026-01-01")
        assert a.sha256 in merged.manifest["recipe"]
        # Nothing of a is missing or changed in the union.
        found = compare_libraries(a, merged)
        assert (found.references_removed, found.references_changed, found.compounds_changed) == ((), (), {})
        assert verify_library(tmp_path / "c.h5") == ()

    def test_it_is_the_same_again_and_merging_with_itself_changes_nothing(self, tmp_path):
        library = small_library(tmp_path)
        merge_libraries([library, library], tmp_path / "1.h5", name="m")
        merge_libraries([library, library], tmp_path / "2.h5", name="m")
        assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "2.h5").read_bytes()
        assert compare_libraries(library, open_library(tmp_path / "1.h5")).same

    def test_contradictions_are_refused_or_settled(self, tmp_path):
        other = dataclasses.replace(COCAINE, cas="")
        a = built(tmp_path / "a.h5", (band_spectrum(500), COCAINE, {"licence": "MIT"}))
        b = built(tmp_path / "b.h5", (band_spectrum(500), other, {"licence": "CC0-1.0"}))
        with pytest.raises(LibraryError) as caught:
            merge_libraries([a, b], tmp_path / "c.h5")
        assert "contradict each other in 2 places" in str(caught.value)
        assert "compound cocaine (cas: a.h5 against b.h5)" in str(caught.value)
        assert "(licence: a.h5 against b.h5)" in str(caught.value)
        assert not (tmp_path / "c.h5").exists()
        for prefer, cas, licence in (("first", "50-36-2", "MIT"), ("last", "", "CC0-1.0")):
            report = merge_libraries([a, b], tmp_path / "c.h5", prefer=prefer)
            merged = open_library(tmp_path / "c.h5")
            assert (merged.compound("cocaine").cas, merged.references[0].licence) == (cas, licence)
            assert merged.n_references == 1
            assert len(report.settled) == 2

    def test_parameters(self, tmp_path):
        library = small_library(tmp_path)
        with pytest.raises(ParameterError, match="at least two"):
            merge_libraries([library], tmp_path / "c.h5")
        with pytest.raises(ParameterError, match="'first' or 'last'"):
            merge_libraries([library, library], tmp_path / "c.h5", prefer="best")

    def test_command(self, tmp_path, capsys):
        a, b, out = (str(tmp_path / name) for name in ("a.h5", "b.h5", "out.h5"))
        build_small(tmp_path / "a.h5")
        build_small(tmp_path / "b.h5", raman=2)
        assert main(["library", "merge", a, b, "-o", out]) == 0
        text = capsys.readouterr().out
        assert "6 references of 4 compounds" in text
        assert "4 were there more than once" in text
        assert "CC0-1.0" in text
        assert main(["library", "merge", a, b, "-o", out, "--json"]) == 2
        assert "--force" in capsys.readouterr().err
        assert main(["library", "merge", a, b, "-o", out, "--json", "--force"]) == 0
        assert json.loads(capsys.readouterr().out)["licences"] == {"CC0-1.0": 4, "not stated": 2}
        built(tmp_path / "b.h5", (band_spectrum(500), dataclasses.replace(compound(0), cas="50-36-2"), {}))
        assert main(["library", "merge", a, b, "-o", out, "--force"]) == 4
        assert "contradict" in capsys.readouterr().err
        assert main(["library", "merge", a, b, "-o", out, "--prefer", "last", "--force"]) == 0
        assert "settled by --prefer last: compound compound-0" in capsys.readouterr().err
        assert main(["library", "merge", a, "-o", out, "--force"]) == 2


class TestWatchList:
    def test_text(self, tmp_path):
        path = tmp_path / "watch.txt"
        path.write_text("# what we look for\ncocaine  # by name\n\n58-08-2\n", encoding="utf-8")
        assert [entry.text for entry in read_watch_list(path)] == ["cocaine", "58-08-2"]

    def test_table(self, tmp_path):
        path = tmp_path / "watch.csv"
        path.write_text("cas,note,name\n50-36-2,common,\n,rare,Talc\n,nothing,\n", encoding="utf-8")
        entries = read_watch_list(path)
        assert [(entry.cas, entry.name) for entry in entries] == [("50-36-2", ""), ("", "Talc")]

    @pytest.mark.parametrize("text", ["", "# only a comment\n", "name\n"])
    def test_nothing(self, tmp_path, text):
        path = tmp_path / "watch.txt"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(UnreadableFileError, match="names no substance"):
            read_watch_list(path)

    def test_unreadable(self, tmp_path):
        with pytest.raises(UnreadableFileError, match="cannot be opened"):
            read_watch_list(tmp_path / "absent")
        (tmp_path / "b").write_bytes(b"caf\xff")
        with pytest.raises(UnreadableFileError, match=r"byte 3"):
            read_watch_list(tmp_path / "b")


class TestSubset:
    def selected(self, library, tmp_path, **criteria):
        report = subset_library(library, tmp_path / "part.h5", **criteria)
        part = open_library(tmp_path / "part.h5")
        assert report.sha256 == part.sha256
        assert report.references == part.n_references
        return report, sorted((r.compound_slug, r.technique.value, r.tier.value) for r in part.references)

    def test_by_watch_list_however_a_substance_is_called(self, library, tmp_path):
        path = tmp_path / "watch.txt"
        for name in (
            "cocaine", "Methyl benzoylecgonine", "Cocaine HCl", "50-36-2", "ZPUCINDJVBIVPJ-LJISPDSOSA-N"
        ):  # fmt: skip
            path.write_text(f"{name}\nfentanyl\n", encoding="utf-8")
            report, rows = self.selected(library, tmp_path, watch_list=read_watch_list(path))
            assert [row[0] for row in rows] == ["cocaine"] * 3, name
            assert report.unmatched == ("fentanyl",)
        part = open_library(tmp_path / "part.h5")
        assert [c.slug for c in part.compounds] == ["cocaine"]
        assert (part.name, part.version) == ("all", "7")
        assert library.sha256 in part.manifest["recipe"]
        found = compare_libraries(library, part)
        assert (found.references_changed, found.references_added, found.compounds_changed) == ((), (), {})

    def test_criteria_combine(self, library, tmp_path):
        _, rows = self.selected(library, tmp_path, categories=["adulterant"])
        assert [row[0] for row in rows] == ["caffeine", "talc"]
        _, rows = self.selected(library, tmp_path, categories=["adulterant/inert", "drug/stimulant"])
        assert {row[0] for row in rows} == {"talc", "cocaine"}
        _, rows = self.selected(library, tmp_path, techniques=["ftir"])
        assert rows == [("cocaine", "ftir_atr", "measured")]
        _, rows = self.selected(library, tmp_path, tiers=["measured", "literature"], techniques=["raman"])
        assert [row[0] for row in rows] == ["caffeine", "cocaine", "talc"]

    def test_a_watched_substance_without_fitting_reference_is_named(self, library, tmp_path):
        path = tmp_path / "watch.txt"
        path.write_text("talc\ncocaine\n", encoding="utf-8")
        report, rows = self.selected(library, tmp_path, watch_list=read_watch_list(path), techniques=["ftir"])
        assert report.without_references == ("talc",)
        assert [row[0] for row in rows] == ["cocaine"]

    def test_refusals(self, library, tmp_path):
        with pytest.raises(ParameterError, match="a watch list, category, technique or tier"):
            subset_library(library, tmp_path / "x.h5")
        with pytest.raises(ParameterError, match="drug/stimulant"):
            subset_library(library, tmp_path / "x.h5", categories=["adult"])
        with pytest.raises(ParameterError, match="technique must be"):
            subset_library(library, tmp_path / "x.h5", techniques=["nmr"])
        with pytest.raises(LibraryError, match="No reference of the library 'all' fits"):
            subset_library(library, tmp_path / "x.h5", categories=["adulterant"], techniques=["ftir"])
        assert not (tmp_path / "x.h5").exists()

    def test_command(self, library, tmp_path, capsys):
        watch = tmp_path / "watch.csv"
        watch.write_text("name\nTalc\nCocaine\nHeroin\n", encoding="utf-8")
        out = str(tmp_path / "o.h5")
        command = ["library", "subset", str(library.path), "-o", out, "--watch-list", str(watch)]
        assert main([*command, "--tier", "computed"]) == 0
        text = capsys.readouterr()
        assert "the library has no compound 'Heroin'" in text.err
        assert "no reference of talc fits" in text.err
        assert "1 references of 1 compounds" in text.out
        assert main([*command, "--json"]) == 2
        assert "--force" in capsys.readouterr().err
        command.append("--force")
        assert main([*command, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["unmatched"] == ["Heroin"]
        assert main(["library", "subset", str(library.path), "-o", out, "--force"]) == 2
        assert main([*command, "--category", "drug", "--tier", "literature"]) == 4
