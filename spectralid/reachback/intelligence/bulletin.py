"""The monthly bulletin: what was seized and found, as plain facts, and these as PDF, CSV or JSON.

No person, no device and nothing that anybody typed is in it; cases are named by their numbers. The same
record gives the same bytes. The facts come first (`bulletin_facts`), and every form shows those and nothing
else.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from spectralid.casework.clock import to_text
from spectralid.reachback.intelligence import alerts, trends
from spectralid.reachback.intelligence.graph import SeizureGraph, build
from spectralid.reachback.intelligence.linkage_archive import Fingerprints, catch_up
from spectralid.reachback.intelligence.trends import Cell, Seizure
from spectralid.reachback.store.tables import cases
from spectralid.report.ink import Fill, Mark, Row, Stroke, Word, space, text_rows, text_width
from spectralid.report.pdf import MARGIN, Placed, paper_size, written
from spectralid.report.tables import cells

if TYPE_CHECKING:
    from spectralid.reachback.store.database import Database

__all__ = ["COLUMNS", "LIMITS", "bulletin_csv", "bulletin_facts", "bulletin_json", "bulletin_pdf"]

SCHEMA: Final = "spectralid.bulletin/1"
MONTHS: Final = 12
"""Months of the curves, the one reported being the last."""
_MOST_LINKED: Final = 2_000

LIMITS: Final = (
    "What no laboratory has confirmed is presumptive, and is counted apart.",
    "Only what was scanned is counted. Shares are of all seizures with a scan in the same cell; they change "
    "when what is chosen for scanning changes.",
    "Intervals are exact (95 %, Clopper and Pearson) and cover chance alone. Cells of fewer than "
    f"{trends.FEW_OF} seizures, or with fewer than {trends.FEW} of what is counted, are marked * and say "
    "little.",
    "That a substance is not listed does not mean that it was not there.",
    "A linked group is a proposal from fingerprints of whole mixtures: likelihood ratios against another "
    "mixture of the same substances, fitted on simulated seizures. Marks of a press or package are not in a "
    "spectrum.",
    "A first sighting is the first in this record, not in the country.",
)
COLUMNS: Final = (
    "section", "period", "where", "key", "label", "confirmed", "presumptive", "of", "share", "low", "high",
    "small", "cases", "detail",
)  # fmt: skip


# --- facts -------------------------------------------------------------------------------------------------


def bulletin_facts(
    db: Database, month: str, *, archive: Fingerprints | None = None, sites: Collection[str] | None = None
) -> dict[str, Any]:
    """What the bulletin of a month says, as plain data.

    Parameters
    ----------
    db : Database
        The server's.
    month : str
        ``2026-10``.
    archive : Fingerprints, optional
        Of the same database, where it is held in memory anyway.
    sites : collection of str, optional
        Only seizures of these places.

    Raises
    ------
    ParameterError
        If it is no month.
    """
    start, end = trends.month_of(month)
    catch_up(db)
    archive = archive or Fingerprints()
    archive.refresh(db)
    everything = trends.collect(db, until=end, sites=sites)
    this = trends.within(everything, start, end)
    before = trends.within(everything, *trends.month_of(_month_before(month)))
    by_class = trends.counts(this, level="class")
    graph = build(archive, {one.case_id: {} for one in this[:_MOST_LINKED]})
    unknown = alerts.unknown_clusters(archive, everything)
    of_month = {one.case_id for one in this}
    raised = alerts.listed(db, since=start, until=end, sites=sites, limit=1000)
    return {
        "schema": SCHEMA,
        "month": month,
        "sites": None if sites is None else sorted(sites),
        "totals": {**_totals(this), "scans": _scans(db, of_month)},
        "totals_before": _totals(before),
        "classes": [_with_before(c, trends.counts(before, level="class")) for c in by_class],
        "substances": [c.to_dict() for c in trends.counts(this, level="substance")],
        "by_mode": [c.to_dict() for c in trends.counts(this, level="class", split="mode")],
        "by_site": [c.to_dict() for c in trends.counts(this, level="class", split="site")],
        "months": [c.to_dict() for c in trends.counts(_last_year(everything, end), level="class")],
        "first_sightings": [one.to_dict() for one in trends.first_sightings(everything, since=start)],
        "linked": _linked(graph),
        "linked_complete": len(this) <= _MOST_LINKED,
        "unknown_clusters": [list(one) for one in unknown if of_month & set(one)],
        "alerts": {
            kind: {
                "raised": sum(one.kind == kind for one in raised),
                "acknowledged": sum(one.kind == kind and one.acknowledged_utc is not None for one in raised),
            }
            for kind in alerts.KINDS
        },
        "limits": list(LIMITS),
    }


def _month_before(month: str) -> str:
    return to_text(trends.month_of(month)[0] - timedelta(days=1))[:7]


def _last_year(seizures: Sequence[Seizure], end: datetime) -> tuple[Seizure, ...]:
    first = end
    for _ in range(MONTHS):
        first = (first - timedelta(days=1)).replace(day=1)
    return trends.within(seizures, first, end)


def _totals(seizures: Sequence[Seizure]) -> dict[str, int]:
    return {
        "seizures": len(seizures),
        "laboratory": sum(one.basis == "laboratory" for one in seizures),
        "chemist": sum(one.basis == "chemist" for one in seizures),
        "field": sum(one.basis == "field" for one in seizures),
        "no_match": sum(one.no_match for one in seizures),
    }


def _scans(db: Database, case_ids: set[str]) -> int:
    with db.read() as tx:
        rows = tx.execute(sa.select(cases.c.case_id, cases.c.scans).where(cases.c.scans > 0))
        return sum(row.scans for row in rows if row.case_id in case_ids)


def _with_before(cell: Cell, before: Iterable[Cell]) -> dict[str, Any]:
    was = next((one for one in before if one.key == cell.key), None)
    return {**cell.to_dict(), "share_before": was.share if was else None}


def _linked(graph: SeizureGraph) -> list[dict[str, Any]]:
    out = []
    for component in graph.components:
        inside = [e for e in graph.edges if e.case_id in component.cases and e.other_id in component.cases]
        best = max(inside, key=lambda one: one.log10_ratio)
        out.append(
            {
                "cases": list(component.cases),
                "groups": [list(group) for group in component.groups],
                "chained": component.chained,
                "log10_ratio": round(best.log10_ratio, 2),
                "words": best.words,
            }
        )
    return out


# --- JSON and CSV ------------------------------------------------------------------------------------------


def bulletin_json(facts: Mapping[str, Any]) -> bytes:
    """As JSON with sorted keys."""
    return json.dumps(facts, sort_keys=True, ensure_ascii=False, indent=1).encode() + b"\n"


def bulletin_csv(facts: Mapping[str, Any]) -> bytes:
    """As one table; texts that a spreadsheet would take for a formula begin with an apostrophe."""
    target = io.StringIO(newline="")
    writer = csv.DictWriter(target, COLUMNS, restval="", lineterminator="\r\n")
    writer.writeheader()
    for row in _csv_rows(facts):
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return target.getvalue().encode()


# What a spreadsheet would take for a formula (OWASP, CSV injection).
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    said = str(value)
    return f"'{said}" if isinstance(value, str) and said.startswith(_FORMULA) else said


def _csv_rows(facts: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    month = facts["month"]
    for name, value in facts["totals"].items():
        yield {"section": "total", "period": month, "key": name, "label": name, "confirmed": "", "of": value}
    for section, name in (
        ("class", "classes"), ("substance", "substances"), ("class by mode", "by_mode"),
        ("class by site", "by_site"), ("class by month", "months"),
    ):  # fmt: skip
        for cell in facts[name]:
            yield {"section": section, **{key: cell[key] for key in COLUMNS if key in cell}}
    for one in facts["first_sightings"]:
        status = "presumptive" if one["presumptive"] else "confirmed"
        yield {
            "section": "first sighting", "period": month, "where": one["site"], "key": one["key"],
            "label": one["label"], "cases": one["case_id"], "detail": status,
        }  # fmt: skip
    for one in facts["linked"]:
        detail = f"log10 likelihood ratio up to {one['log10_ratio']}: {one['words']}"
        yield {
            "section": "linked seizures", "period": month, "cases": " ".join(one["cases"]),
            "detail": detail + ("; chained" if one["chained"] else ""),
        }  # fmt: skip
    for cluster in facts["unknown_clusters"]:
        yield {"section": "unknown cluster", "period": month, "cases": " ".join(cluster)}
    for sentence in facts["limits"]:
        yield {"section": "limit", "period": month, "detail": sentence}


# --- pages -------------------------------------------------------------------------------------------------

_BODY: Final = 8.5
_SMALL: Final = 7.0
_GREY: Final = "#444444"
_PALE: Final = "#C9CED4"
_BLUE: Final = "#1D4E89"
_ORANGE: Final = "#B3541E"
_CLASSES: Final = (0.0, 0.42, 0.53, 0.65, 0.74, 0.83)
_MOST_ROWS: Final = 18
_MONTH_NAMES: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip


def bulletin_pdf(facts: Mapping[str, Any], *, paper: str = "a4") -> bytes:
    """As a PDF; the same facts give the same bytes.

    Parameters
    ----------
    facts : mapping
        From `bulletin_facts`.
    paper : {"a4", "letter"}
        Paper.
    """
    wide, tall = paper_size(paper)
    width = wide - 2 * MARGIN
    year, number = facts["month"].split("-")
    title = f"Seizure bulletin, {_MONTH_NAMES[int(number) - 1]} {year}"
    last = tall - 2 * MARGIN - 16.0
    pages = _paged(list(_rows(facts, title, width)), last)
    placed: list[list[Placed]] = []
    for page_number, page in enumerate(pages, 1):
        y = MARGIN
        here: list[Placed] = []
        for row in page:
            here.append((MARGIN, y, row))
            y += row.height
        said = f"{title} · presumptive unless marked confirmed · page {page_number} of {len(pages)}"
        end = Row(10.0, (Word(0, 7.0, said, _SMALL, "regular", _GREY),))
        here.append((MARGIN, tall - MARGIN - end.height, end))
        placed.append(here)
    return written(placed, paper, title=title, language="en")


def _paged(rows: Sequence[Row], tall: float) -> list[list[Row]]:
    """Rows in pages; what is glued together is not torn apart."""
    pages: list[list[Row]] = [[]]
    used = 0.0
    group: list[Row] = []
    for row in rows:
        group.append(row)
        if row.glued:
            continue
        needed = sum(one.height for one in group)
        if pages[-1] and used + needed > tall:
            pages.append([])
            used = 0.0
        pages[-1] += group
        used += needed
        group = []
    pages[-1] += group
    return pages


def _rows(facts: Mapping[str, Any], title: str, width: float) -> Iterator[Row]:
    totals, before = facts["totals"], facts["totals_before"]
    yield from text_rows(title, width, 17.0, "bold")
    where = "all sites" if facts["sites"] is None else "sites " + ", ".join(facts["sites"])
    yield from text_rows(
        f"From the record of the reachback desk, {where}. PRESUMPTIVE unless marked confirmed.",
        width, _BODY, "regular", _GREY,
    )  # fmt: skip
    yield space(6.0)
    yield _figures(
        (
            (totals["seizures"], "seizures scanned", f"{before['seizures']} the month before"),
            (totals["scans"], "scans", ""),
            (totals["laboratory"], "with a laboratory result", "confirmed or refuted"),
            (totals["chemist"], "decided by a chemist", "presumptive"),
            (totals["no_match"], "matched nothing", "not in the library"),
        ),
        width,
    )
    yield from _heading("First sightings", width)
    yield from _sighting_rows(facts, width)
    yield from _heading("What was found, by class", width)
    yield from _class_rows(facts, width)
    yield from _heading(f"Share of seizures over {MONTHS} months", width)
    yield from _curve_rows(facts, width)
    for name, said in (("by_mode", "mode of entry"), ("by_site", "site")):
        yield from _heading(f"By {said}", width)
        yield from _matrix(facts[name], facts["classes"], width)
    yield from _heading("Unknown substances seen more than once", width)
    yield from _unknown_rows(facts, width)
    yield from _heading("Seizures that may hold the same mixture", width)
    yield from _linked_rows(facts, width)
    yield from _heading("Alerts raised in the month", width)
    for kind, n in facts["alerts"].items():
        said = f"{kind.replace('_', ' ')}: {n['raised']}, of which {n['acknowledged']} acknowledged"
        yield from text_rows(said, width, _BODY)
    yield from _heading("What this does not say", width)
    for sentence in facts["limits"]:
        yield from text_rows(sentence, width, _SMALL + 0.5, lead="•", indent=8.0)


def _heading(text: str, width: float) -> Iterator[Row]:
    yield replace(space(9.0), glued=True)
    yield Row(2.0, (Stroke(((0, 0), (width, 0)), 0.8, _GREY),), glued=True)
    yield from (replace(row, glued=True) for row in text_rows(text, width, 11.0, "bold"))
    yield replace(space(2.0), glued=True)


def _figures(figures: Sequence[tuple[int, str, str]], width: float) -> Row:
    marks: list[Mark] = []
    room = width / len(figures)
    for place, (number, said, more) in enumerate(figures):
        x = place * room
        marks.append(Word(x, 16.0, f"{number:,}", 16.0, "bold"))
        marks.append(Word(x, 26.0, said, _SMALL + 0.5))
        marks.append(Word(x, 34.5, more, _SMALL, "regular", _GREY))
    return Row(40.0, tuple(marks))


def _box(left: float, top: float, right: float, bottom: float, colour: str) -> Fill:
    return Fill(((left, top), (right, top), (right, bottom), (left, bottom)), colour)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _table_head(texts: Sequence[str], starts: Sequence[float], width: float) -> Row:
    head = cells(texts, starts, width, _SMALL, colour=_GREY, lines=2)
    return replace(head, glued=True)


def _sighting_rows(facts: Mapping[str, Any], width: float) -> Iterator[Row]:
    if not facts["first_sightings"]:
        yield from text_rows("None.", width, _BODY)
        return
    starts = (0.0, 0.12, 0.62, 0.74, 0.86)
    yield _table_head(("what", "", "status", "day", "site"), starts, width)
    for one in facts["first_sightings"]:
        status = "presumptive" if one["presumptive"] else "confirmed"
        yield cells(
            (one["level"], one["path"] if one["level"] == "substance" else one["key"], status,
             one["utc"][:10], one["site"]),
            starts, width, _BODY, lines=(1, 2, 1, 1, 1),
        )  # fmt: skip


def _class_rows(facts: Mapping[str, Any], width: float) -> Iterator[Row]:
    shown = [c for c in facts["classes"] if c["confirmed"] + c["presumptive"]]
    if not shown:
        yield from text_rows("Nothing of interest was found.", width, _BODY)
        return
    head = ("class", "confirmed", "presumptive", "share", "month before", "95 % interval")
    yield _table_head(head, _CLASSES, width)
    scale = max(max(c["high"] for c in shown), 1e-9)
    for cell in shown[:_MOST_ROWS]:
        mark = " *" if cell["small"] else ""
        row = cells(
            (cell["label"] + mark, str(cell["confirmed"]), str(cell["presumptive"]), _percent(cell["share"]),
             _percent(cell["share_before"]), ""),
            _CLASSES, width, _BODY,
        )  # fmt: skip
        left, room = _CLASSES[-1] * width, (1 - _CLASSES[-1]) * width
        at = [left + room * cell[name] / scale for name in ("low", "share", "high")]
        y = row.height / 2
        bar = (
            Stroke(((at[0], y), (at[2], y)), 1.0, _PALE if cell["small"] else _GREY),
            _box(at[1] - 1.2, y - 2.6, at[1] + 1.2, y + 2.6, _BLUE),
        )
        yield replace(row, marks=row.marks + bar)
    if len(shown) > _MOST_ROWS:
        yield from text_rows(
            f"and {len(shown) - _MOST_ROWS} more in the CSV", width, _SMALL, "regular", _GREY
        )
    yield from text_rows(
        f"Bars: 95 % interval of the share, 0 to {_percent(scale)}. * few cases.",
        width,
        _SMALL,
        "regular",
        _GREY,
    )


def _curve_rows(facts: Mapping[str, Any], width: float) -> Iterator[Row]:
    """A small chart for each of the most frequent classes, two beside one another."""
    months = sorted({c["period"] for c in facts["months"]})
    if not months:
        yield from text_rows("No seizures in these months.", width, _BODY)
        return
    whole: dict[str, int] = {}
    for cell in facts["months"]:
        whole[cell["key"]] = whole.get(cell["key"], 0) + cell["confirmed"] + cell["presumptive"]
    chosen = sorted((key for key in whole if whole[key]), key=lambda key: (-whole[key], key))[:4]
    for start in range(0, len(chosen), 2):
        marks: list[Mark] = []
        for column, key in enumerate(chosen[start : start + 2]):
            of_class = {c["period"]: c for c in facts["months"] if c["key"] == key}
            chart = _chart([of_class[m] for m in months], months, width / 2 - 14.0)
            marks += chart.moved(column * (width / 2 + 4.0)).marks
        yield Row(98.0, tuple(marks))
    said = "Bars: share of the month's seizures; lines: 95 % interval; darker: confirmed; pale: few cases."
    yield from text_rows(said, width, _SMALL, "regular", _GREY)


def _chart(monthly: Sequence[Mapping[str, Any]], months: Sequence[str], width: float) -> Row:
    top, bottom, left = 16.0, 80.0, 26.0
    scale = max(max(c["high"] for c in monthly), 1e-9)
    label = str(monthly[0]["label"])
    while text_width(label, 7.5, "bold") > width:
        label = label[:-2].rstrip(" …") + "…"
    marks: list[Mark] = [
        Word(0, 8.0, label, 7.5, "bold"),
        Stroke(((left, top), (left, bottom), (width, bottom)), 0.5, _GREY),
        Word(0, top + 5.0, _percent(scale), 6.0, "regular", _GREY),
        Word(0, bottom, "0", 6.0, "regular", _GREY),
    ]
    room = (width - left) / max(len(months), 1)
    for place, (cell, month) in enumerate(zip(monthly, months, strict=True)):
        x = left + (place + 0.5) * room
        half = min(room * 0.32, 9.0)

        def down(share: float) -> float:
            return bottom - (bottom - top) * share / float(scale)

        confirmed = cell["confirmed"] / cell["of"]
        for low, high, colour in (
            (confirmed, cell["share"], _PALE if cell["small"] else "#7FA3CC"),
            (0.0, confirmed, _BLUE),
        ):
            if high > low:
                marks.append(_box(x - half, down(low), x + half, down(high), colour))
        marks.append(Stroke(((x, down(cell["low"])), (x, down(cell["high"]))), 0.7, "#000000"))
        name = month[5:] if place else f"{month[5:]}/{month[2:4]}"
        marks.append(Word(x - text_width(name, 6.0) / 2, bottom + 8.0, name, 6.0, "regular", _GREY))
    return Row(bottom + 12.0, tuple(marks))


def _matrix(
    split: Sequence[Mapping[str, Any]], classes: Sequence[Mapping[str, Any]], width: float
) -> Iterator[Row]:
    """Counts of the most frequent classes at each place, with how many seizures there were."""
    places = sorted({c["where"] for c in split})
    chosen = [c["key"] for c in classes if c["confirmed"] + c["presumptive"]][:6]
    if not places or not chosen:
        yield from text_rows("Nothing of interest was found.", width, _BODY)
        return
    by = {(c["where"], c["key"]): c for c in split}
    label = {c["key"]: c["label"] for c in classes}
    starts = (0.0, 0.16, *(0.26 + 0.74 * i / len(chosen) for i in range(len(chosen))))
    head = cells(
        ("", "seizures", *(label[key] for key in chosen)), starts, width, _SMALL, colour=_GREY, lines=3
    )
    yield replace(head, glued=True)
    for place in places:
        there = [by[place, key] for key in chosen]
        texts = [
            f"{c['confirmed'] + c['presumptive']} ({_percent(c['share'])}){' *' if c['small'] else ''}"
            for c in there
        ]
        yield cells((place, str(there[0]["of"]), *texts), starts, width, _BODY)


def _unknown_rows(facts: Mapping[str, Any], width: float) -> Iterator[Row]:
    if not facts["unknown_clusters"]:
        yield from text_rows("None.", width, _BODY)
    for cluster in facts["unknown_clusters"]:
        said = f"{len(cluster)} seizures that nothing matches show the same: {', '.join(cluster)}"
        yield from text_rows(said, width, _BODY, most=4)


def _linked_rows(facts: Mapping[str, Any], width: float) -> Iterator[Row]:
    if not facts["linked"]:
        yield from text_rows("No links with a likelihood ratio of 5 or more.", width, _BODY)
        return
    starts = (0.0, 0.09, 0.17, 0.42)
    yield _table_head(("seizures", "groups", "strongest link", "cases"), starts, width)
    for one in facts["linked"][:_MOST_ROWS]:
        groups = f"{len(one['groups'])} chained" if one["chained"] else "1"
        said = f"{one['words'].split(' for ')[0]} (LR {10 ** one['log10_ratio']:.0f})"
        yield cells(
            (str(len(one["cases"])), groups, said, ", ".join(one["cases"])), starts, width, _BODY - 0.5,
            lines=(1, 2, 2, 3),
        )  # fmt: skip
    if len(facts["linked"]) > _MOST_ROWS:
        more = f"and {len(facts['linked']) - _MOST_ROWS} more in the CSV"
        yield from text_rows(more, width, _SMALL, "regular", _GREY)
    if not facts["linked_complete"]:
        said = f"Only the first {_MOST_LINKED} seizures of the month were compared."
        yield from text_rows(said, width, _SMALL, "regular", _GREY)
