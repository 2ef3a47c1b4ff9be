"""The graph of seizures: components, and groups that a chain does not make."""

from __future__ import annotations

import io
import json
from xml.etree import ElementTree

import numpy as np
import pytest

from spectralid.reachback.intelligence import graph
from spectralid.reachback.intelligence.linkage_archive import Similar

NAMESPACE = "{http://graphml.graphdrawing.org/xmlns}"


class Archive:
    """Ratios that are given, in the place of fingerprints."""

    def __init__(self, ratios):
        self.ratios = {tuple(sorted(pair)): value for pair, value in ratios.items()}

    def between(self, one, other):
        value = self.ratios.get(tuple(sorted((one, other))))
        if value is None:
            return None
        return Similar(one, other, value, 1.0, False, "I-1", "I-1", "raman", 1, 0.9, False)

    def similar(self, case_id, *, limit, visible, least):
        others = {name for pair in self.ratios for name in pair if case_id in pair} - {case_id}
        found = [self.between(case_id, other) for other in sorted(others) if visible(other)]
        return tuple(one for one in found if one.log10_ratio >= least)[:limit]


def built(ratios, *alone):
    names = {name for pair in ratios for name in pair} | set(alone)
    nodes = {name: {"label": name, "site": "north", "found": ["a & b", "<c>"]} for name in names}
    return graph.build(Archive(ratios), nodes)


def pairs(names, value):
    return {(a, b): value for i, a in enumerate(names) for b in names[i + 1 :]}


def test_what_hangs_together_is_one_component():
    made = built({**pairs("abc", 1.0), **pairs("xy", 1.2), ("a", "x"): -1.0}, "z")
    assert [one.cases for one in made.components] == [("a", "b", "c"), ("x", "y")]
    assert not any(one.chained for one in made.components)
    assert len(made.edges) == 4
    assert len({(e.case_id, e.other_id) for e in made.edges}) == 4


def test_a_chain_is_not_a_group():
    """a–b and b–c are linked, a and c speak against each other."""
    made = built({("a", "b"): 1.0, ("b", "c"): 0.9, ("a", "c"): -1.5})
    (one,) = made.components
    assert one.cases == ("a", "b", "c")
    assert one.chained
    assert one.groups == (("a", "b"), ("c",))


def test_two_sets_joined_by_one_link_stay_two_groups():
    ratios = {**pairs("abc", 1.0), **pairs("xyz", 1.0), ("c", "x"): 0.8}
    ratios |= {(a, b): -1.0 for a in "abc" for b in "xyz" if (a, b) != ("c", "x")}
    (one,) = built(ratios).components
    assert one.groups == (("a", "b", "c"), ("x", "y", "z"))


def test_what_could_not_be_compared_is_not_put_into_one_group():
    (one,) = built({("a", "b"): 1.0, ("b", "c"): 0.9}).components
    assert one.chained
    assert one.groups[0] == ("a", "b")


@pytest.mark.parametrize("seed", range(5))
def test_every_two_of_a_group_go_together(seed):
    """Whatever the ratios are; and groups are a partition of their component."""
    rng = np.random.default_rng(seed)
    names = [f"n{k:02d}" for k in range(14)]
    ratios = {pair: float(value) for pair, value in zip(pairs(names, 0), rng.normal(0.2, 1, 91), strict=True)}
    made = built(ratios)
    for component in made.components:
        assert sorted(name for group in component.groups for name in group) == list(component.cases)
        for group in component.groups:
            for pair in pairs(group, 0):
                assert ratios[pair] >= graph.AGAINST


def test_weak_links_join_nothing():
    assert built({("a", "b"): graph.LINK - 0.01}).components == ()


def test_it_can_be_read_as_json_and_as_graphml():
    made = built({("a", "b"): 1.0, ("b", "c"): 0.9, ("a", "c"): -1.5}, "z")
    said = json.loads(made.to_json())
    assert [n["case_id"] for n in said["nodes"]] == ["a", "b", "c", "z"]
    assert said["components"][0]["chained"] is True
    assert said["edges"][0]["words"] == "moderate support for one mixture"
    assert made.to_json() == made.to_json()
    tree = ElementTree.parse(io.BytesIO(made.to_graphml())).getroot()
    keys = {key.get("id") for key in tree.iter(f"{NAMESPACE}key")}
    assert {key.get("key") for key in tree.iter(f"{NAMESPACE}data")} <= keys
    nodes = {node.get("id"): node for node in tree.iter(f"{NAMESPACE}node")}
    assert set(nodes) == {"a", "b", "c", "z"}
    data = {one.get("key"): one.text for one in nodes["c"].iter(f"{NAMESPACE}data")}
    assert (data["component"], data["group"]) == ("1", "2")
    assert json.loads(data["found"]) == ["a & b", "<c>"]
    assert len(list(tree.iter(f"{NAMESPACE}edge"))) == 2


def test_the_figure_shows_every_case_of_the_components():
    made = built({**pairs("abc", 1.0), ("c", "d"): 0.8, ("a", "d"): -1.0}, "z")
    figure = graph.graph_figure(made)
    said = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert said == {"a", "b", "c", "d"}
    assert any("chained" in axes.get_title(loc="left") for axes in figure.axes)
    empty = graph.graph_figure(built({}, "z"))
    assert any("no links" in text.get_text() for axes in empty.axes for text in axes.texts)
