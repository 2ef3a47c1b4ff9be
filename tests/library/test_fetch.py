"""Every bundled recipe against a server on this machine, with files of the form the recipe expects."""

from __future__ import annotations

import gzip
import hashlib
import json
import re

import numpy as np
import pytest

from spectralid import _bundled, write
from spectralid.cli import main
from spectralid.errors import LibraryError, ParameterError, UnreadableFileError
from spectralid.library import open_library, verify_library
from spectralid.library.download import FetchError
from spectralid.library.fetch import Trust, default_folder, fetch_library
from spectralid.library.importing import Outcome
from spectralid.library.recipes import available_recipes, load_recipe
from spectralid.spectrum import Acquisition
from tests.library import r_data
from tests.library.builders import band_spectrum
from tests.library.test_unpack import zipped
from tests.library.web import content, status

RECIPES = [recipe.name for recipe in available_recipes()]


def rruff(name, position, kind):
    """A text file as RRUFF writes them."""
    x = np.arange(150.0, 1300, 0.75) if kind == "Raman" else np.arange(400.0, 3900, 1.93)
    y = np.exp(-(((x - position) / 8) ** 2))
    header = f"##NAMES={name}\n##RRUFFID=R040031\n##IDEAL CHEMISTRY=SiO_2_\n##LOCALITY=here\n##OWNER=RRUFF\n"
    rows = "".join(f"{a:.4f}, {b:.6f}\n" for a, b in zip(x, y, strict=True))
    return (header + "##URL=rruff.info/R040031\n" + rows + "##END=\n\n").encode()


def jcamp(folder, name, position, unit="absorbance", **fields):
    """A JCAMP-DX file with that title."""
    spectrum = band_spectrum(
        position, technique="ftir_atr", unit=unit, acquisition=Acquisition(metadata=fields)
    )
    write(spectrum.replace(name=name), folder / "one.jdx", overwrite=True)
    return (folder / "one.jdx").read_bytes()


def served(name, folder):
    """The file a recipe's address would answer with, of its form but made up."""
    if name in ("rruff-raman", "rruff-infrared"):
        kind = "Raman" if name == "rruff-raman" else "Infrared"
        # The data folder of a mineral holds the raw spectrum, too.
        members = [
            (f"{m}__R040031__{kind}__{k}__unoriented__{kind}_Data_{state}__{i}.txt", rruff(m, p + i, kind))
            for m, p in (("Quartz", 465), ("Unobtainium", 600))
            for i, (k, state) in enumerate((("532", "Processed"), ("785", "Processed"), ("532", "RAW")))
            if kind == "Raman" or state == "Processed"
        ]
        path = zipped(folder / "x.zip", *members)
    elif name == "swgdrug-infrared":
        cocaine = jcamp(folder, "Cocaine HCl", 1700, "transmittance")
        cited = jcamp(folder, "Trimethylxanthine", 1650, **{"CAS REGISTRY NO": "58-08-2"})
        path = zipped(
            folder / "x.zip", ("JCAMP/Cocaine HCl.jdx", cocaine), ("JCAMP/x.JDX", cited), ("a.pdf", b"x")
        )
    elif name == "enfsi-infrared":
        members = [("0017n - Cocaine.JDX", "#0017n - Cocaine"), ("9.JDX", "#0409v - New thing X-7")]
        path = zipped(
            folder / "x.zip", *((file, jcamp(folder, t, 1650 + i)) for i, (file, t) in enumerate(members))
        )
    elif name == "flanagan-glavin-raman":
        shifts = np.arange(150.0, 3426)
        rows = [",".join([*(f"{v:g}" for v in shifts), "label"])]
        for i in range(203):
            values = np.exp(-(((shifts - 800 - i / 10) / 9) ** 2))
            rows.append(",".join([*(f"{v:.4f}" for v in values), ("Acetone", "Ethanol", "Zzz 1")[i % 3]]))
        path = folder / "x.csv"
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    else:
        axis = np.arange(500.0, 3000, 5)
        columns = [np.exp(-(((axis - p) / 20) ** 2)) for p in (1000, 1500)]
        columns[0][:5] = np.nan
        fields = {
            "SpectrumIdentity": ["Polystyrene", "Quartz__R040031__Infrared"],
            "SpectrumType": ["Raman", "FTIR"],
            "license": ["CC BY-NC", None],
        }
        library = {"wavenumber": axis, "spectra": r_data.Matrix(columns), "metadata": fields}
        path = folder / "x.rds"
        path.write_bytes(gzip.compress(r_data.rds(library)))
    return path.read_bytes()


@pytest.fixture
def recipe_at(site, tmp_path):
    """A bundled recipe whose address is on this machine; keys may be changed."""

    def make(name, *answers, **keys):
        text = _bundled.path("libraries", "fetch", f"{name}.toml").read_text(encoding="utf-8")
        text = re.sub(r'(?m)^url = ".*"', f'url = "{site.put("/file", *answers)}"', text)
        for key, value in keys.items():
            line = f"{key} = {json.dumps(value)}"
            text = re.sub(f"(?m)^{key} = .*", line, text) if f"\n{key} = " in text else text + line + "\n"
        path = tmp_path / "recipe.toml"
        path.write_text(text, encoding="utf-8")
        return load_recipe(path)

    return make


@pytest.fixture
def fetched(tmp_path):
    """Fetches a recipe to a folder of the test without waiting."""

    def run(recipe, **options):
        options = {"accept_licence": True, "folder": tmp_path / "cache", "wait": lambda _: None, **options}
        return fetch_library(recipe, tmp_path / "out.h5", **options)

    return run


@pytest.fixture
def minerals(tmp_path):
    """An archive as of RRUFF."""
    return served("rruff-infrared", tmp_path)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_makes_a_library(name, recipe_at, fetched, tmp_path):
    data = served(name, tmp_path)
    recipe = recipe_at(name, content(data))
    report = fetched(recipe, created="2026-01-02")
    assert not report.imported.with_outcome(Outcome.UNREADABLE)
    library = open_library(tmp_path / "out.h5")
    assert verify_library(tmp_path / "out.h5") == ()
    assert library.name == name
    sha256 = hashlib.sha256(data).hexdigest()
    assert sha256 in library.manifest["recipe"]
    assert recipe.files[0].url in library.manifest["recipe"]
    assert {(r.tier.value, r.source, r.url, r.citation) for r in library.references} == {
        ("measured", recipe.title, recipe.home, recipe.citation)
    }
    found = sorted((r.compound_slug, r.form, r.technique.value, r.licence) for r in library.references)
    own = recipe.licence
    if name == "rruff-raman":
        assert found == [("quartz", "", "raman", own)] * 2 + [("unobtainium", "", "raman", own)] * 2
        assert report.left_in_archives == 2
    elif name == "rruff-infrared":
        assert found == [("quartz", "", "ftir", own)] * 2 + [("unobtainium", "", "ftir", own)] * 2
    elif name == "swgdrug-infrared":
        assert found == [("caffeine", "", "ftir_atr", own), ("cocaine", "hydrochloride", "ftir_atr", own)]
        assert report.left_in_archives == 1
    elif name == "enfsi-infrared":
        assert found == [("cocaine", "", "ftir_atr", own), ("new-thing-x-7", "", "ftir_atr", own)]
        assert library.compound("new-thing-x-7").verification == "name only"
    elif name == "flanagan-glavin-raman":
        assert len(found) == 203
        assert {row[0] for row in found} == {"acetone", "ethanol", "zzz-1"}
        assert library.references[0].range_cm1 == (150.0, 3425.0)
    else:
        assert [(row[1], row[2]) for row in found] == [("", "raman"), ("", "ftir")]
        assert {row[3] for row in found} == {"CC BY-NC", own}
        assert "quartz" in {row[0] for row in found}
    (file,) = report.files
    assert (file.sha256, file.size, file.trust, file.downloaded) == (sha256, len(data), Trust.FIRST_USE, True)
    assert json.loads(json.dumps(report.to_dict()))["files"][0]["trust"] == "first use"
    # Nothing is left of what was unpacked.
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == sorted(
        [recipe.files[0].name, f"{recipe.files[0].name}.record.json"]
    )


def test_nothing_is_asked_for_before_the_licence_is_accepted(recipe_at, fetched, site, minerals, tmp_path):
    recipe = recipe_at("rruff-infrared", content(minerals))
    with pytest.raises(ParameterError, match="accept_licence must be given"):
        fetched(recipe, accept_licence=False)
    assert site.requests == []
    assert not (tmp_path / "out.h5").exists()


def test_what_is_there_is_not_downloaded_again(recipe_at, fetched, site, minerals):
    recipe = recipe_at("rruff-infrared", content(minerals))
    fetched(recipe)
    (file,) = fetched(recipe).files
    assert (file.trust, file.downloaded) == (Trust.EARLIER, False)
    assert len(site.requests) == 1


def test_a_file_put_there_by_hand_is_used(recipe_at, fetched, site, minerals, tmp_path):
    recipe = recipe_at("rruff-infrared", status(404))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / recipe.files[0].name).write_bytes(minerals)
    (file,) = fetched(recipe).files
    assert (file.trust, file.downloaded) == (Trust.FIRST_USE, False)
    assert site.requests == []


def test_the_checksum_of_the_recipe(recipe_at, fetched, minerals):
    recipe = recipe_at(
        "rruff-infrared", content(minerals), sha256=hashlib.sha256(minerals).hexdigest().upper()
    )
    assert fetched(recipe).files[0].trust is Trust.RECIPE


def test_a_wrong_checksum_is_refused_and_nothing_kept(recipe_at, fetched, minerals, tmp_path):
    recipe = recipe_at("rruff-infrared", content(minerals), sha256="0" * 64)
    with pytest.raises(FetchError, match=r"not 0000000.* as the recipe states; it was not kept"):
        fetched(recipe)
    assert list((tmp_path / "cache").iterdir()) == []
    assert not (tmp_path / "out.h5").exists()


def test_a_cached_file_that_was_changed_is_refused(recipe_at, fetched, minerals, tmp_path):
    recipe = recipe_at("rruff-infrared", content(minerals))
    fetched(recipe)
    (tmp_path / "cache" / recipe.files[0].name).write_bytes(minerals[:-1])
    with pytest.raises(
        FetchError, match=r"recorded when it was first fetched; remove .* to download it again"
    ):
        fetched(recipe)


def test_another_file_than_at_first_use_is_refused_until_the_record_is_removed(
    recipe_at, fetched, minerals, tmp_path
):
    recipe = recipe_at("rruff-infrared", content(minerals))
    fetched(recipe)
    target = tmp_path / "cache" / recipe.files[0].name
    target.unlink()
    other = zipped(tmp_path / "y.zip", ("a__R1__x.txt", rruff("Calcite", 1086, "Infrared"))).read_bytes()
    recipe = recipe_at("rruff-infrared", content(other))
    with pytest.raises(FetchError, match="remove the record if a new release is expected"):
        fetched(recipe)
    record = tmp_path / "cache" / f"{recipe.files[0].name}.record.json"
    record.write_bytes(b"{")
    with pytest.raises(FetchError, match="the record of the first fetch cannot be read"):
        fetched(recipe)
    record.unlink()
    assert fetched(recipe).files[0].trust is Trust.FIRST_USE


def test_a_cut_download_goes_on(recipe_at, fetched, minerals):
    recipe = recipe_at(
        "rruff-infrared", content(minerals, etag='"1"', cut=1000), content(minerals, etag='"1"')
    )
    (file,) = fetched(recipe).files
    assert file.resumed_from == 1000


def test_missing_too_large_and_redirected_to_a_file(recipe_at, fetched, minerals):
    with pytest.raises(FetchError, match="answered 404"):
        fetched(recipe_at("rruff-infrared", status(404)))
    with pytest.raises(FetchError, match="more than the 1000 allowed"):
        fetched(recipe_at("rruff-infrared", content(minerals), maximum_bytes=1000))
    with pytest.raises(FetchError, match="redirects to where spectralid does not go"):
        fetched(recipe_at("rruff-infrared", status(301, Location="file:///etc/passwd")))


def test_bad_archives(recipe_at, fetched, minerals, tmp_path):
    evil = zipped(tmp_path / "evil.zip", ("../../evil__R1.txt", rruff("Evil", 500, "Infrared"))).read_bytes()
    with pytest.raises(UnreadableFileError, match="leads out of the folder"):
        fetched(recipe_at("rruff-infrared", content(evil)), folder=tmp_path / "1")
    assert not list(tmp_path.rglob("evil__*"))
    with pytest.raises(UnreadableFileError, match="damaged or cut short"):
        fetched(recipe_at("rruff-infrared", content(minerals[:2000])), folder=tmp_path / "2")
    nothing = zipped(tmp_path / "n.zip", ("readme.pdf", b"x")).read_bytes()
    with pytest.raises(FetchError, match="no file that the recipe asks for"):
        fetched(recipe_at("rruff-infrared", content(nothing)), folder=tmp_path / "3")
    useless = zipped(tmp_path / "u.zip", ("a.txt", b"no spectrum")).read_bytes()
    with pytest.raises(LibraryError, match="nothing could be imported"):
        fetched(recipe_at("rruff-infrared", content(useless)), folder=tmp_path / "4")
    assert not (tmp_path / "out.h5").exists()


def test_one_bad_file_in_an_archive_costs_only_itself(recipe_at, fetched, tmp_path):
    good = rruff("Quartz", 465, "Infrared")
    data = zipped(tmp_path / "m.zip", ("q__R1.txt", good), ("bad__R2.txt", b"x")).read_bytes()
    report = fetched(recipe_at("rruff-infrared", content(data))).imported
    assert [e.file for e in report.with_outcome(Outcome.UNREADABLE)] == ["bad__R2.txt"]
    assert len(report.with_outcome(Outcome.IMPORTED)) == 1


def test_two_archives_with_files_of_one_name(site, fetched, tmp_path):
    text = _bundled.path("libraries", "fetch", "rruff-infrared.toml").read_text(encoding="utf-8")
    text = text[: text.index("[[file]]")]
    for i, mineral in enumerate(("Quartz", "Calcite")):
        archive = zipped(tmp_path / f"{i}.zip", ("a.txt", rruff(mineral, 500 + i, "Infrared"))).read_bytes()
        url = site.put(f"/{i}", content(archive))
        text += f'[[file]]\nurl = "{url}"\nname = "{i}.zip"\nmaximum_bytes = 1_000_000\n'
    (tmp_path / "two.toml").write_text(text, encoding="utf-8")
    report = fetched(load_recipe(tmp_path / "two.toml"))
    assert {e.compound_slug for e in report.imported.entries} == {"quartz", "calcite"}


def test_a_folder_that_cannot_be_made(recipe_at, fetched, minerals, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FetchError, match="the folder cannot be made"):
        fetched(recipe_at("rruff-infrared", content(minerals)), folder=tmp_path / "file" / "x")


def test_the_default_folder_is_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    recipe = load_recipe("openspecy")
    assert default_folder(recipe) == tmp_path / "spectralid" / "fetch" / "openspecy"


class TestRecipes:
    def test_the_bundled_ones_say_what_they_must(self):
        recipes = {recipe.name: recipe for recipe in available_recipes()}
        assert set(recipes) >= {
            "rruff-raman", "rruff-infrared", "openspecy", "swgdrug-infrared", "enfsi-infrared",
            "flanagan-glavin-raman",
        }  # fmt: skip
        for name, recipe in recipes.items():
            assert load_recipe(name) == recipe
            assert len(recipe.licence_text) > 100
            assert recipe.facts
            assert all(file.url.startswith("https://") for file in recipe.files)

    def test_unknown(self, tmp_path):
        for name in ("rruf", "../categories", "", "x/y"):
            with pytest.raises(LibraryError, match=r"There is no recipe .*; there are enfsi-infrared, "):
                load_recipe(name)
        with pytest.raises(UnreadableFileError, match="cannot be opened"):
            load_recipe(tmp_path / "absent.toml")

    @pytest.mark.parametrize(
        ("before", "after", "message"),
        [
            ("title =", "titel =", "key title: it is missing"),
            ('tier = "measured"', 'tiers = "measured"', "key tiers: this key is not known"),
            ('tier = "measured"', 'tier = "guessed"', "tier must be one of"),
            ('tier = "measured"', 'reader = "excel"', "key reader: it must be one of files, openspecy"),
            ('tier = "measured"', "split_rows = true", "key split_rows: it is missing"),
            ('technique = "ftir"', 'technique = "nmr"', "technique must be one of"),
            ('licence_text = "t"', 'licence_text = ""', "key licence_text: it is missing, empty"),
            ('name = "a.zip"', 'name = "../a.zip"', "file 1: name: it must be the plain name"),
            ('name = "a.zip"', 'name = "a.zip"\nsha256 = "12"', "64 hexadecimal digits"),
            ("maximum_bytes = 10", 'maximum_bytes = "10"', "file 1: maximum_bytes: it is missing"),
            ("maximum_bytes = 10", "maximum_bytes = 10\nsize = 3", "file 1: size: this key is not known"),
            ('fields = ["file"]', 'fields = ["file"]\npattern = "("', "names.pattern: it is no regular"),
            ('fields = ["file"]', 'fields = ["file"]\npattern = "x"', "it has no group"),
            ('include = ["*"]', 'include = "*"', "unpack.include: it is missing, empty or of the wrong kind"),
            ('include = ["*"]', "include = [1]", "it must be a list of texts"),
            ('facts = ["f"]', "facts = [", "it is not TOML"),
            ('name = "mine"', 'name = "my own"', "key name: it may hold only"),
            ("[[file]]", '[[file]]\nurl="http://x/"\nname="a.zip"\nmaximum_bytes=1\n[[file]]', "one name"),
        ],
    )  # fmt: skip
    def test_mistakes_are_named(self, tmp_path, before, after, message):
        text = (
            'name = "mine"\ntitle = "t"\nhome = "h"\nlicence = "l"\nlicence_text = "t"\ncitation = "c"\n'
            'facts = ["f"]\nchecked = "c"\ntechnique = "ftir"\ntier = "measured"\n'
            '[names]\nfields = ["file"]\n[unpack]\ninclude = ["*"]\n'
            '[[file]]\nurl = "http://x/"\nname = "a.zip"\nmaximum_bytes = 10\n'
        )
        path = tmp_path / "mine.toml"
        path.write_text(text, encoding="utf-8")
        assert load_recipe(path).name == "mine"
        assert before in text
        path.write_text(text.replace(before, after), encoding="utf-8")
        with pytest.raises(UnreadableFileError, match=re.escape(message)):
            load_recipe(path)


class TestCommand:
    def test_terms_first_then_the_library(self, recipe_at, site, minerals, tmp_path, capsys, monkeypatch):
        recipe_at("rruff-infrared", content(minerals))
        monkeypatch.chdir(tmp_path)
        command = ["library", "fetch", "recipe.toml", "--dir", "cache"]
        assert main(command) == 2
        shown = capsys.readouterr()
        assert "free use with attribution" in shown.err
        assert "terms must be accepted" in shown.err
        assert site.requests == []
        assert main([*command, "--accept-licence"]) == 0
        shown = capsys.readouterr()
        assert "No checksum is known for it: it was trusted as it came" in shown.out
        assert hashlib.sha256(minerals).hexdigest() in shown.out
        assert "2 imported, 2 unmatched" in shown.out
        assert open_library(tmp_path / "rruff-infrared.h5").n_references == 4
        assert main([*command, "--accept-licence", "--json", "-o", "x.h5", "--name", "n"]) == 0
        report = json.loads(capsys.readouterr().out)
        assert report["files"][0]["trust"] == "same as when first fetched"
        assert open_library(tmp_path / "x.h5").name == "n"

    @pytest.mark.parametrize(("answer", "code"), [("yes\n", 0), ("no\n", 2), ("", 2), ("y\n", 2)])
    def test_asks_who_sits_there(self, recipe_at, minerals, tmp_path, capsys, monkeypatch, answer, code):
        class Terminal:
            def isatty(self):
                return True

            def readline(self):
                return answer

        recipe_at("rruff-infrared", content(minerals))
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.stdin", Terminal())
        assert main(["library", "fetch", "recipe.toml", "--dir", "cache"]) == code
        assert "Do you accept these terms?" in capsys.readouterr().err

    def test_failures_have_their_codes(self, recipe_at, tmp_path, capsys, monkeypatch):
        monkeypatch.chdir(tmp_path)
        recipe_at("rruff-infrared", status(404))
        assert main(["library", "fetch", "recipe.toml", "--dir", "cache", "--accept-licence"]) == 4
        assert capsys.readouterr().err.strip().endswith("see whether the file has moved.")
        assert main(["library", "fetch", "nonsense"]) == 4
        assert main(["library", "fetch"]) == 2

    def test_list(self, capsys):
        assert main(["library", "fetch", "--list"]) == 0
        assert "not tried: no network" in capsys.readouterr().out
        assert main(["library", "fetch", "--list", "--json"]) == 0
        assert {entry["name"] for entry in json.loads(capsys.readouterr().out)} == set(RECIPES)
