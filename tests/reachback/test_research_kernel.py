"""The first pass against the plain forms of the same numbers, one pair at a time."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from spectralid.identify.retrieval import MINIMUM_OVERLAP, MINIMUM_SHARE, RetrievalIndex
from spectralid.identify.similarity import derivative_cosine, derivative_window, first_derivative
from spectralid.library import Compound, LibraryBuilder, open_library
from spectralid.library.schema import common_grid
from spectralid.reachback.research.archive import Shard, derivatives, encode
from spectralid.reachback.research.kernel import CLOSE, LEAST, LEAST_DEADLY, Entries, entries_of, search
from spectralid.spectrum import Spectrum, Technique
from tests.reachback.world import BANDS, NAMES, library, pure

GRID = common_grid("raman")
TOLERANCE = 1e-4


def shard_of(scans, named):
    """A shard of intensities on the grid, NaN where missing."""
    unit, known = derivatives(scans, "raman")
    vectors, scale = encode(unit)
    masks, of_row = np.unique(known, axis=0, return_inverse=True)
    answers = sorted(set(named))
    n = len(scans)
    return Shard(
        "raman", vectors, scale, np.packbits(masks, axis=1), of_row.reshape(-1).astype("i4"), tuple(answers),
        np.array([answers.index(one) for one in named], "i4"), ("tablet-1",), np.zeros(n, "i4"),
        np.arange(n), np.zeros(n, "i4"),
    )  # fmt: skip


def entries(values, base=None, least=-2.0):
    unit, known = derivatives(values, "raman")
    return Entries(
        "raman", tuple(f"new-{i}" for i in range(len(unit))), unit.astype("f4"), known,
        np.full((2, len(unit)), least, "f4"),
        {slug: derivatives(one, "raman")[0].astype("f4") for slug, one in (base or {}).items()},
    )  # fmt: skip


def cut(values, *ranges):
    out = values.copy()
    for row, (low, high) in zip(out, ranges, strict=True):
        row[(low > GRID) | (high < GRID)] = np.nan
    return out


@pytest.fixture
def scene():
    rng = np.random.default_rng(11)
    scans, named, ranges = [], [], []
    for i in range(90):
        chosen = rng.choice(NAMES, rng.integers(1, 4), replace=False)
        shares = rng.uniform(0.1, 1, len(chosen))
        scans.append(
            sum(s * pure(n, GRID) for n, s in zip(chosen, shares, strict=True))
            + 0.05 * rng.normal(size=GRID.size)
        )
        named.append(tuple(sorted(map(str, chosen[: rng.integers(0, len(chosen) + 1)]))))
        ranges.append([(150, 3219), (200, 1850), (400, 1800), (700, 2500), (300, 760)][i % 5])
    scans = cut(np.array(scans), *ranges)
    new = np.stack([pure(name, GRID) for name in NAMES] * 3)
    new = cut(new, *([(150, 3219)] * 7 + [(250, 1700)] * 7 + [(150, 1000)] * 4 + [(1250, 3219)] * 3))
    base = {name: np.stack([pure(name, GRID), pure(name, GRID + 1.5)]) for name in NAMES[:5]}
    return scans, named, new, base


def brute(scan, entry):
    """Cosine of a pair over what both have, or nothing if that is less than is compared."""
    window = derivative_window(3.0)
    a, b = first_derivative(scan, window), first_derivative(entry, window)
    both = np.isfinite(a) & np.isfinite(b)
    share = np.nansum(np.where(both, b, 0) ** 2) / np.nansum(b**2)
    if both.sum() * 3.0 < MINIMUM_OVERLAP or share < MINIMUM_SHARE:
        return None
    return derivative_cosine(a, b)


def test_every_cosine_is_that_of_the_plain_form(scene):
    scans, named, new, base = scene
    found = search(shard_of(scans, named), entries(new, base))
    got = {(r, e): c for r, e, c in zip(found.row, found.entry, found.cosine, strict=True)}
    wanted = {(r, e): brute(scans[r], new[e]) for r in range(len(scans)) for e in range(len(new))}
    assert got.keys() == {pair for pair, value in wanted.items() if value is not None}
    assert max(abs(got[pair] - wanted[pair]) for pair in got) < TOLERANCE
    # So that the conditions are seen to be met and not met.
    assert 200 < len(got) < len(wanted) - 200


def test_every_partial_is_that_of_what_is_left_of_both(scene):
    scans, named, new, base = scene
    found = search(shard_of(scans, named), entries(new, base))
    window = derivative_window(3.0)
    worst, compared = 0.0, 0
    for r, e, cosine, partial in zip(*found, strict=True):
        a, b = first_derivative(scans[r], window), first_derivative(new[e], window)
        both = np.isfinite(a) & np.isfinite(b)
        known = [first_derivative(one, window) for name in named[r] if name in base for one in base[name]]
        if not known:
            assert partial == cosine
            continue
        scale = np.sqrt(np.nansum(a**2)), np.sqrt(np.nansum(b**2))
        x, y = a[both] / scale[0], b[both] / scale[1]
        basis = np.stack([np.where(np.isfinite(k), k, 0)[both] / np.sqrt(np.nansum(k**2)) for k in known])
        # Ridge regression as least squares with rows added for the ridge.
        design = np.vstack([basis.T, np.sqrt(1e-3) * np.eye(len(basis))])
        solve = np.linalg.pinv(design)
        gram = {
            (p, q): s @ t - (basis @ s) @ (solve @ np.append(t, np.zeros(len(basis))))
            for (p, s) in (("x", x), ("y", y)) for (q, t) in (("x", x), ("y", y))
        }  # fmt: skip
        if gram["x", "x"] < 0.004 * (x @ x) or gram["y", "y"] < 0.021 * (y @ y):
            assert gram["y", "y"] > 0.019 * (y @ y) or partial == 0
            continue
        wanted = gram["x", "y"] / np.sqrt(gram["x", "x"] * gram["y", "y"])
        worst, compared = max(worst, abs(wanted - partial)), compared + 1
    assert compared > 300
    assert worst < 2e-3


def test_the_search_and_the_retrieval_stage_agree(tmp_path, scene):
    scans, named, _, _ = scene
    opened = open_library(library(tmp_path / "a.h5", *NAMES))
    index = RetrievalIndex.from_library(opened, Technique.RAMAN)
    scores = index.scores(scans)
    ids = [info.id for info in index.rows]
    prepared = dataclasses.replace(
        entries_of(opened, "raman", ids), least=np.full((2, len(ids)), -2, "f4"), base={}
    )
    assert list(prepared.ids) == ids
    found = search(shard_of(scans, named), prepared)
    got = np.full(scores.shape, np.nan)
    got[found.row, found.entry] = found.cosine
    assert np.array_equal(np.isfinite(got), np.isfinite(scores))
    assert np.nanmax(np.abs(got - scores)) < TOLERANCE


def test_part_of_a_shard_and_all_of_it(scene):
    scans, named, new, base = scene
    shard, wanted = shard_of(scans, named), entries(new, base, least=0.3)
    whole = search(shard, wanted)
    parts = [search(shard, wanted, start=s, stop=min(s + 40, 90)) for s in range(0, 90, 40)]
    for i in (0, 1):
        assert np.array_equal(whole[i], np.concatenate([part[i] for part in parts]))
    assert np.allclose(whole.cosine, np.concatenate([part.cosine for part in parts]), atol=1e-6)


def noisy(parts, seed):
    rng = np.random.default_rng(seed)
    mixed = sum(share * pure(name, GRID) for name, share in parts)
    return cut(np.array([mixed + 0.005 * rng.normal(size=GRID.size)]), (200, 1850))[0]


def test_what_passes_and_what_does_not():
    base = {name: pure(name, GRID)[None] for name in NAMES[:5]}
    prepared = dataclasses.replace(
        entries(np.stack([pure("novelamine", GRID), pure("fentanyl-x", GRID)]), base),
        least=np.array([LEAST, LEAST_DEADLY], "f4").T,
    )
    cases = [
        ((("novelamine", 1.0),), (), {0}),  # nothing was named
        ((("lactose", 1.0), ("novelamine", 0.15)), ("lactose",), {0}),  # beside what was named
        ((("lactose", 1.0), ("caffeine", 0.6), ("fentanyl-x", 0.12)), ("caffeine", "lactose"), {1}),
        ((("novelamine", 1.0),), ("mannitol",), {0}),  # instead of what was named
        ((("lactose", 1.0), ("caffeine", 0.5)), ("caffeine", "lactose"), set()),
        ((("cocaine", 1.0),), ("cocaine",), set()),
    ]
    shard = shard_of(
        np.array([noisy(parts, i) for i, (parts, _, _) in enumerate(cases)]), [c[1] for c in cases]
    )
    found = search(shard, prepared)
    passed = {i: set(found.entry[found.row == i].tolist()) for i in range(len(cases))}
    assert passed == {i: wanted for i, (_, _, wanted) in enumerate(cases)}


def test_an_entry_like_what_was_named_passes_though_nothing_is_left():
    near = {**BANDS, "analogue": tuple((p + 1, h) for p, h in BANDS["cocaine"])}
    rng = np.random.default_rng(0)
    analogue = sum(h / (1 + ((GRID - p) / 6.0) ** 2) for p, h in near["analogue"])
    scan = pure("cocaine", GRID) + 0.002 * rng.normal(size=GRID.size)
    prepared = entries(analogue[None], {"cocaine": pure("cocaine", GRID)[None]}, least=LEAST[0])
    found = search(shard_of(scan[None], [("cocaine",)]), prepared)
    assert found.row.tolist() == [0]
    assert found.partial[0] < LEAST[0]
    assert found.cosine[0] > 1 - CLOSE


def test_computed_references_are_not_searched_for(tmp_path):
    builder = LibraryBuilder("test")
    ids = [
        builder.add(Spectrum(GRID, pure(name, GRID), technique="raman"), Compound(name, name), tier=tier)
        for name, tier in (("lactose", "measured"), ("cocaine", "computed"))
    ]
    builder.write(tmp_path / "a.h5")
    opened = open_library(tmp_path / "a.h5")
    assert entries_of(opened, "raman", ids).ids == (ids[0],)
    assert len(entries_of(opened, "infrared", ids)) == 0
    assert len(search(shard_of(pure("lactose", GRID)[None], [()]), entries_of(opened, "raman", [])).row) == 0


def test_the_deadly_pass_earlier(tmp_path):
    opened = open_library(library(tmp_path / "a.h5", "lactose", "fentanyl-x"))
    ids = [info.id for info in opened.rows("raman")]
    prepared = entries_of(opened, "raman", ids, deadly=("fentanyl-x",))
    assert np.allclose(prepared.least.T, [LEAST, LEAST_DEADLY])
    assert set(prepared.base) == {"lactose", "fentanyl-x"}
