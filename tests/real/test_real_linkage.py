"""Linkage on measured spectra of known batches: what it tells apart, and what it cannot."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks" / "reachback"))

from linkage_real import pairs, tablets, textiles

from spectralid.qa.likelihood_ratios import cllr, cllr_min
from spectralid.reachback.intelligence import linkage


def ratios(known):
    found = {"batch": [], "recipe": [], "other": []}
    for one, other in pairs(known):
        what = "batch" if one.batch == other.batch else "recipe" if one.mixture == other.mixture else "other"
        compared = linkage.compare(one.fingerprint, other.fingerprint, same_unit=True)
        found[what].append((compared.mixture, compared.substances))
    return {what: np.array(values).reshape(-1, 2) for what, values in found.items()}


@pytest.fixture(scope="module")
def of_tablets(shared_data):
    return {n: ratios(tablets(shared_data, at_once=n)) for n in (2, 5)}


def test_tablets_of_another_strength_are_told_apart(of_tablets):
    """5.6 % against 8.0 % of one active substance in the same excipients, five tablets each."""
    found = of_tablets[5]
    same, other = found["batch"][:, 0], found["other"][:, 0]
    assert (other > 0).mean() <= 0.05
    assert np.median(same) > 0 > np.median(other)
    assert cllr(same, other) < 0.6


def test_fewer_tablets_say_less_and_are_still_worth_something(of_tablets):
    found = of_tablets[2]
    same, other = found["batch"][:, 0], found["other"][:, 0]
    assert (other > 0).mean() <= 0.2
    assert cllr_min(same, other) < 0.8


def test_batches_of_one_recipe_are_not_told_apart(of_tablets):
    """Nor should they be: the proposition is one mixture, and a maker of medicines weighs alike."""
    found = of_tablets[5]
    assert cllr_min(found["batch"][:, 0], found["recipe"][:, 0]) > 0.7


def test_no_ratio_of_different_mixtures_is_high(of_tablets, shared_data):
    for other in (of_tablets[2]["other"], of_tablets[5]["other"], ratios(textiles(shared_data))["other"]):
        assert other[:, 0].max() < 1.3


def test_textiles_that_differ_by_far_are_told_apart(shared_data):
    """Cotton and polyester, 25 % or more apart. Two spots may lie on one yarn, hence the quarter."""
    known = textiles(shared_data)
    far, near = [], []
    for one, other in pairs(known):
        cotton = [int(k.mixture.split("_")[0]) for k in (one, other)]
        compared = linkage.compare(one.fingerprint, other.fingerprint, same_unit=True)
        if abs(cotton[0] - cotton[1]) >= 25:
            far.append(compared.mixture)
        elif cotton[0] == cotton[1]:
            near.append(compared.mixture)
    assert np.median(near) > 0
    assert (np.array(far) > 0).mean() < 0.25
