"""A new library must not be worse: what counts as worse, and that a poisoned one is found out."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from spectralid import Spectrum, write
from spectralid.library import Compound, LibraryBuilder, ReferenceLibrary
from spectralid.reachback.releases import candidates, regression
from spectralid.reachback.releases.regression import Answered, HeldOut, HeldOutError, Question
from tests.reachback import bench
from tests.reachback.bench import SUBSTANCES, spectrum

A, B, C, _, _, F, *_ = SUBSTANCES
BASE = [(slug, number) for number, slug in enumerate(SUBSTANCES[:6])]


@pytest.fixture(scope="module", autouse=True)
def asked_once():
    """The engine says the same of the same spectrum each time; several tests ask the same."""
    real, engines, said = regression._asker, {}, {}

    def asker(library):
        def ask(one):
            key = library.sha256, one.sha256
            if key not in said:
                if library.sha256 not in engines:
                    engines[library.sha256] = real(library)
                said[key] = engines[library.sha256](one)
            return said[key]

        return ask

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(regression, "_asker", asker)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("regression")


@pytest.fixture(scope="module")
def base(folder):
    return bench.build(folder / "base.h5", BASE)


@pytest.fixture(scope="module")
def held_out():
    """Two spectra of each of three substances in the library, and one of a substance that is not."""
    pairs = [(slug, seed) for slug in (A, B, C) for seed in (501, 502)]
    known = [
        Question(f"{slug}-{seed}", spectrum(slug, seed=seed), frozenset({slug}), "") for slug, seed in pairs
    ]
    stranger = Question("stranger", spectrum(SUBSTANCES[7], seed=503), frozenset(), "")
    return HeldOut((*known, stranger))


def test_the_same_library_is_not_worse(base, held_out):
    found = regression.compare(base, base, held_out)
    assert found.worse == ()
    assert found.changed == ()
    whole = found.lines[0]
    assert (whole.spectra, whole.right_before, whole.right_after, whole.lost, whole.won) == (7, 7, 7, 0, 0)
    assert [line.category for line in found.lines] == ["all", "not in the library", "test/one"]


def test_an_honest_addition_is_not_worse(base, held_out, folder):
    more = bench.build(folder / "more.h5", [*BASE, (A, 77), (SUBSTANCES[6], 78)])
    assert regression.compare(base, more, held_out).worse == ()


def test_a_mislabelled_entry_is_found_out(base, held_out, folder):
    """A's spectrum under the name of B: A is not told any more, or B is named in its place."""
    poisoned = bench.build(folder / "poisoned.h5", [*BASE, (B, spectrum(A, seed=99))])
    found = regression.compare(base, poisoned, held_out)
    assert any("answers are right" in sentence for sentence in found.worse)
    assert {one["file"] for one in found.changed} == {f"{A}-501", f"{A}-502"}
    assert "worse" in found.table()


def test_an_entry_that_explains_anything_is_found_out(base, held_out, folder):
    """What no library explained is given a name."""
    wrong = bench.build(folder / "wrong.h5", [*BASE, (F, spectrum(SUBSTANCES[7], seed=98))])
    found = regression.compare(base, wrong, held_out)
    assert any("false name" in sentence for sentence in found.worse)


def test_a_lost_alarm_is_found_out(folder, held_out):
    def library(name, **facts):
        builder = LibraryBuilder("agency")
        for slug, seed in BASE:
            known = facts if slug == A else {}
            builder.add(spectrum(slug, seed=seed), Compound(slug, slug, **known), tier="measured")
        builder.write(folder / name)
        return ReferenceLibrary(folder / name)

    deadly = library("deadly.h5", category="opioid/fentanyl", fentanyl_related="yes", schedule="I")
    harmless = library("harmless.h5")
    found = regression.compare(deadly, harmless, held_out)
    assert [sentence for sentence in found.worse if "alarm" in sentence] == [
        f"{A}-{seed}: it raised the alarm 'danger' and raises {'unknown'!r}." for seed in (501, 502)
    ]


def test_a_loss_in_one_category_counts_although_another_wins(base, held_out, folder):
    """Six lost in one category are no chance (1/64), whatever is won in others."""
    questions = [replace(one, category="first" if one.answer else "second") for one in held_out.questions]
    without = bench.build(folder / "without.h5", [pair for pair in BASE if pair[0] not in (A, B, C)])
    found = regression.compare(without, base, HeldOut(tuple(questions)))
    assert found.worse == ()
    found = regression.compare(base, without, HeldOut(tuple(questions)))
    line = next(line for line in found.lines if line.category == "first")
    assert (line.lost, line.won, line.p) == (6, 0, 1 / 64)
    assert any(sentence.startswith("In 'first' 6 answers were lost") for sentence in found.worse)


NOTHING = Answered((), "", "unknown")


def judged(base, monkeypatch, *answers, answer=frozenset({A}), categories=()):
    """The comparison of what was said before and after of so many spectra, each with one answer."""
    said = iter(pair for pairs in answers for pair in pairs)
    monkeypatch.setattr(regression, "_asker", lambda library: lambda spectrum: next(said))
    names = categories or ["x"] * len(answers)
    some = spectrum(A, seed=1)
    questions = (Question(str(n), some, answer, category) for n, category in enumerate(names))
    return regression.compare(base, base, HeldOut(tuple(questions)))


def says(*told, first=A, alarm="notice"):
    return Answered(tuple(sorted(told)), first, alarm)


def test_each_criterion_alone(base, monkeypatch):
    right, wrong, both = says(A), says(B), says(A, B)

    def worse(*answers, **options):
        return " ".join(judged(base, monkeypatch, *answers, **options).worse)

    assert worse((right, right), (NOTHING, right)) == ""
    assert worse((right, NOTHING), (NOTHING, right)) == ""
    assert worse((right, says()), (right, right)) == "1 answers are right and 2 were."
    assert worse((right, says(A, first=B))) == "0 answers are first in the ranking and 1 were."
    assert worse((NOTHING, says(B, first=B))) == "1 spectra are given a false name and 0 were."
    assert worse((wrong, both)) == ""  # it was false before as well
    # Nothing is lost in all, and five in one category: p = 1/32.
    lost, won = [(right, says())] * 5, [(says(), right)] * 5
    said = worse(*lost, *won, categories=["x"] * 5 + ["y"] * 5)
    assert said == "In 'x' 5 answers were lost and 0 won (p = 0.031)."
    assert worse(*lost[:4], *won[:4], categories=["x"] * 4 + ["y"] * 4) == ""  # 1/16 may be chance


@pytest.mark.parametrize(("lost", "won"), [(0, 0), (1, 0), (5, 0), (3, 3), (9, 2), (0, 7), (40, 25)])
def test_the_sign_test_is_the_exact_one(lost, won):
    expected = binomtest(lost, lost + won, 0.5, alternative="greater").pvalue if lost + won else 1.0
    assert regression.sign_test(lost, won) == pytest.approx(expected, abs=1e-12)


def test_a_library_without_the_technique_names_nothing(base, folder):
    axis = np.linspace(500, 3900, 700)
    values = np.exp(-(((axis - 1700) / 20) ** 2))
    infrared = Spectrum(axis, values, technique="ftir_atr", unit="absorbance")
    questions = tuple(Question(f"q{n}", infrared, frozenset({A}), "ir") for n in range(10))
    found = regression.compare(base, base, HeldOut(questions))
    assert (found.lines[0].right_before, found.worse) == (0, ())


# --- the folder --------------------------------------------------------------------------------------------


def kept(folder, count=10, **changes):
    folder.mkdir(exist_ok=True)
    rows = []
    for number in range(count):
        one = spectrum(SUBSTANCES[number % 5], seed=600 + number)
        write(one, folder / f"{number}.jdx")
        rows.append({"file": f"{number}.jdx", "answer": SUBSTANCES[number % 5], "category": "x"})
    rows[0] |= changes
    names = sorted({name for row in rows for name in row})
    with (folder / "held-out.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    return folder


def test_a_held_out_set_is_read_and_its_identities_are_known(tmp_path):
    found = regression.read(kept(tmp_path / "held", answer=f"{A}|{B}"))
    assert len(found.questions) == 10
    assert found.questions[0].answer == {A, B}
    one = found.questions[3].spectrum
    assert {one.sha256, candidates.prepared(one).sha256} <= found.identities


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"file": "../outside.jdx"}, "not in the folder"),
        ({"file": "missing.jdx"}, "cannot be used"),
        ({"answer": "Not A Slug"}, "slugs"),
        ({"sha256": "0" * 64}, "not the spectrum"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_a_held_out_set_that_is_not_in_order_is_refused(tmp_path, changes, said):
    with pytest.raises(HeldOutError, match=said):
        regression.read(kept(tmp_path / "held", **changes))


def test_too_few_say_too_little(tmp_path):
    with pytest.raises(HeldOutError, match="at least 10"):
        regression.read(kept(tmp_path / "held", 9))
    with pytest.raises(HeldOutError, match="cannot be used"):
        regression.read(tmp_path / "nothing")
