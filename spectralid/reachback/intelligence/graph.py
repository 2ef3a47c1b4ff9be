"""Seizures as a graph: cases joined where the fingerprints support one mixture.

Being of one mixture is an equivalence, support for it is not: from A–B and B–C it does not follow that A and
C look alike, and long chains of weak links join what has nothing to do with each other. So two things are
told apart. A *component* is whatever hangs together by links. A *group* within it is a set of cases every
two of which were compared and none of which speak against each other (complete linkage); only groups are
proposed as one mixture, and a component of several groups is said to be *chained*.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from spectralid.reachback.intelligence.linkage_archive import Fingerprints, Similar

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from spectralid.spectrum import FloatArray

__all__ = ["Component", "SeizureGraph", "build", "graph_figure"]

LINK: Final = 0.7
"""log₁₀ ratio from which two cases are joined: 5, and not far from the most that fingerprints can say."""
AGAINST: Final = 0.0
"""log₁₀ ratio below which two cases are not put into one group."""

_SCHEMA: Final = "spectralid.graph/1"


@dataclass(frozen=True, slots=True)
class Component:
    """Cases that hang together by links.

    Attributes
    ----------
    cases : tuple of str
        All of them, in order.
    groups : tuple of tuple of str
        Sets every two of which go together; the largest first. A case may be alone in one.
    """

    cases: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]

    @property
    def chained(self) -> bool:
        """Whether it hangs together only by way of others."""
        return len(self.groups) > 1


@dataclass(frozen=True, slots=True)
class SeizureGraph:
    """Cases and the links between them.

    Attributes
    ----------
    nodes : mapping of str to mapping
        Cases with what is to be said of each.
    edges : tuple of Similar
        Links, each once.
    components : tuple of Component
        Those of two cases or more, the largest first.
    """

    nodes: Mapping[str, Mapping[str, Any]]
    edges: tuple[Similar, ...]
    components: tuple[Component, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain form."""
        return {
            "schema": _SCHEMA,
            "nodes": [{"case_id": case_id, **self.nodes[case_id]} for case_id in sorted(self.nodes)],
            "edges": [{**asdict(edge), "words": edge.words} for edge in self.edges],
            "components": [
                {"cases": list(c.cases), "groups": [list(g) for g in c.groups], "chained": c.chained}
                for c in self.components
            ],
        }

    def to_json(self) -> bytes:
        """As JSON with sorted keys."""
        return json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=False, indent=1).encode() + b"\n"

    def to_graphml(self) -> bytes:
        """As GraphML, which programs for graphs read."""
        keys = {
            "component": ("node", "int"),
            "group": ("node", "int"),
            **dict.fromkeys(sorted({n for one in self.nodes.values() for n in one}), ("node", "string")),
            "log10_ratio": ("edge", "double"),
            "words": ("edge", "string"),
        }
        of_case = {
            case_id: (number, next(i for i, group in enumerate(c.groups, 1) if case_id in group))
            for number, c in enumerate(self.components, 1)
            for case_id in c.cases
        }
        lines = [
            '<?xml version="1.0" encoding="UTF-8"?>',
            '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">',
        ]
        lines += [
            f'  <key id={quoteattr(name)} for="{what}" attr.name={quoteattr(name)} attr.type="{kind}"/>'
            for name, (what, kind) in keys.items()
        ]
        lines.append('  <graph edgedefault="undirected">')
        for case_id in sorted(self.nodes):
            facts: dict[str, Any] = {name: _plain(value) for name, value in self.nodes[case_id].items()}
            if case_id in of_case:
                facts["component"], facts["group"] = of_case[case_id]
            lines += _element("node", {"id": case_id}, facts)
        for edge in self.edges:
            ends = {"source": edge.case_id, "target": edge.other_id}
            lines += _element("edge", ends, {"log10_ratio": round(edge.log10_ratio, 4), "words": edge.words})
        lines += ["  </graph>", "</graphml>", ""]
        return "\n".join(lines).encode()


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _element(name: str, attributes: Mapping[str, str], facts: Mapping[str, Any]) -> list[str]:
    said = " ".join(f"{key}={quoteattr(value)}" for key, value in attributes.items())
    data = [f"      <data key={quoteattr(key)}>{escape(str(value))}</data>" for key, value in facts.items()]
    return [f"    <{name} {said}>", *data, f"    </{name}>"]


def build(
    archive: Fingerprints, nodes: Mapping[str, Mapping[str, Any]], *, link: float = LINK
) -> SeizureGraph:
    """The graph of some cases.

    Parameters
    ----------
    archive : Fingerprints
        Refreshed.
    nodes : mapping of str to mapping
        The cases, with what is to be said of each (plain data; nothing of persons).
    link : float
        log₁₀ ratio from which two are joined.
    """
    edges: dict[tuple[str, str], Similar] = {}
    for case_id in sorted(nodes):
        for one in archive.similar(case_id, limit=50, visible=nodes.__contains__, least=link):
            first, second = sorted((one.case_id, one.other_id))
            edges.setdefault((first, second), one)
    components = [
        Component(cases, _groups(archive, cases, edges)) for cases in _connected(edges) if len(cases) > 1
    ]
    components.sort(key=lambda c: (-len(c.cases), c.cases))
    return SeizureGraph(dict(nodes), tuple(edges[key] for key in sorted(edges)), tuple(components))


def _connected(edges: Iterable[tuple[str, str]]) -> list[tuple[str, ...]]:
    leader: dict[str, str] = {}

    def find(case_id: str) -> str:
        leader.setdefault(case_id, case_id)
        while leader[case_id] != case_id:
            leader[case_id] = leader[leader[case_id]]
            case_id = leader[case_id]
        return case_id

    for one, other in edges:
        leader[find(one)] = find(other)
    sets: dict[str, list[str]] = {}
    for case_id in sorted(leader):
        sets.setdefault(find(case_id), []).append(case_id)
    return [tuple(cases) for cases in sets.values()]


def _groups(
    archive: Fingerprints, cases: tuple[str, ...], edges: Iterable[tuple[str, str]]
) -> tuple[tuple[str, ...], ...]:
    """Complete linkage, cut where a pair speaks against it; what then has no link within it falls apart."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    n = len(cases)
    against = np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1, n):
            found = archive.between(cases[i], cases[j])
            # Shifted to be a distance; what cannot be compared must not be joined.
            ratio = -99.0 if found is None else found.log10_ratio
            against[i, j] = against[j, i] = 99.0 - ratio
    labels = fcluster(linkage(squareform(against), "complete"), 99.0 - AGAINST, "distance")
    of_case = dict(zip(cases, labels, strict=True))
    parts = _connected(pair for pair in edges if of_case.get(pair[0], 0) == of_case.get(pair[1], -1))
    alone = set(cases).difference(*parts)
    return tuple(sorted([*parts, *((case_id,) for case_id in alone)], key=lambda group: (-len(group), group)))


# --- the picture -------------------------------------------------------------------------------------------

_MARKS: Final = "osD^vP*X"


def graph_figure(graph: SeizureGraph, *, most: int = 12) -> Figure:
    """The components of a graph, drawn side by side.

    Parameters
    ----------
    graph : SeizureGraph
        What to draw.
    most : int
        Components at most; the title says how many there are.

    Returns
    -------
    matplotlib.figure.Figure
        Groups are told apart by mark and colour; a link is as thick as its support.
    """
    from spectralid.plot._style import FIT, MEASURED, OTHERS, RESIDUAL, new_figure

    shown = graph.components[:most]
    columns = min(max(len(shown), 1), 4)
    rows = max(-(-len(shown) // columns), 1)
    figure = new_figure(2.6 * columns, 2.2 * rows + 0.6)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    colours = (OTHERS[0], FIT, OTHERS[1], OTHERS[2], MEASURED)
    for axes in grid:
        axes.set_axis_off()
    for component, axes in zip(shown, grid, strict=False):
        place = _places(component, graph.edges)
        for edge in graph.edges:
            if edge.case_id in place and edge.other_id in place:
                (x0, y0), (x1, y1) = place[edge.case_id], place[edge.other_id]
                across = not any(edge.case_id in g and edge.other_id in g for g in component.groups)
                axes.plot(
                    [x0, x1], [y0, y1], color=RESIDUAL, linewidth=0.8 * max(edge.log10_ratio, 0.3),
                    linestyle=":" if across else "-", zorder=1, solid_capstyle="round",
                )  # fmt: skip
        for number, group in enumerate(component.groups):
            points = np.array([place[case_id] for case_id in group])
            axes.scatter(points[:, 0], points[:, 1], s=70, color=colours[number % len(colours)],
                         marker=_MARKS[number % len(_MARKS)], edgecolor="white", zorder=2)  # fmt: skip
        for case_id, (x, y) in place.items():
            axes.annotate(str(graph.nodes[case_id].get("label", case_id[:8])), (x, y), xytext=(0, 8),
                          textcoords="offset points", ha="center", fontsize=6.5)  # fmt: skip
        title = f"{len(component.cases)} seizures"
        if component.chained:
            title += f", {len(component.groups)} groups (chained)"
        axes.set_title(title, fontsize=9, loc="left")
        axes.set(xlim=(-1.45, 1.45), ylim=(-1.3, 1.5))
    if not shown:
        grid[0].text(0.5, 0.5, "no links", ha="center", va="center", color=RESIDUAL)
    total = len(graph.components)
    figure.suptitle(
        f"{len(graph.nodes)} seizures, {total} linked set{'' if total == 1 else 's'}"
        + (f", the {most} largest" if total > most else "")
        + "\nsolid: within a group · dotted: between groups · the thicker, the more support",
        x=0.01, ha="left", fontsize=9,
    )  # fmt: skip
    return figure


def _places(component: Component, edges: Iterable[Similar]) -> dict[str, tuple[float, float]]:
    """Where cases are drawn: springs along links, everything else pushed apart; always the same."""
    cases = component.cases
    n = len(cases)
    index = {case_id: i for i, case_id in enumerate(cases)}
    angle = 2 * np.pi * np.arange(n) / n
    xy: FloatArray = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    joined = np.zeros((n, n))
    for edge in edges:
        if edge.case_id in index and edge.other_id in index:
            i, j = index[edge.case_id], index[edge.other_id]
            joined[i, j] = joined[j, i] = 1.0
    ideal = 1.4 / np.sqrt(n)
    for heat in np.linspace(0.2, 0.005, 150):
        apart = xy[:, np.newaxis] - xy[np.newaxis]
        length = np.sqrt((apart**2).sum(axis=2)) + 1e-6
        force = ideal**2 / length - joined * length**2 / ideal
        move = (apart / length[..., np.newaxis] * force[..., np.newaxis]).sum(axis=1)
        size = np.sqrt((move**2).sum(axis=1, keepdims=True)) + 1e-9
        xy = xy + move / size * np.minimum(size, heat)
    xy = xy - xy.mean(axis=0)
    xy = xy / np.sqrt((xy**2).sum(axis=1)).max()
    return {case_id: (float(xy[i, 0]), float(xy[i, 1])) for case_id, i in index.items()}
