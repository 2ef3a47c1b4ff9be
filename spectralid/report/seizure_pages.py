"""The pages of a seizure: its items with their scans and evidence, and who had it; as many as it takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from spectralid.report import record, signs
from spectralid.report.curves import drawing
from spectralid.report.ink import MM, Face, Mark, Row, Stroke, space, text_rows
from spectralid.report.pdf import MARGIN, Placed, paper_size, written
from spectralid.report.scan import Curve
from spectralid.report.scan_page import banner, footer
from spectralid.report.seizure import seizure_facts
from spectralid.report.tables import cells, pair
from spectralid.report.words import Words

__all__ = ["seizure_report"]

_BODY: Final = 8.0
_SMALL: Final = 6.6
_GREY: Final = "#444444"
_SCANS: Final = (0.0, 0.07, 0.29, 0.43, 0.57)
_LOG: Final = (0.0, 0.08, 0.32, 0.5, 0.68)
# Lines a text typed by somebody may take before it is cut; the JSON report has it whole.
_LONGEST: Final = 12


def seizure_report(
    manifests: Iterable[Mapping[str, Any]],
    *,
    language: str = "en",
    lab_status: Mapping[str, str] | None = None,
    answers: Iterable[Mapping[str, Any]] = (),
    custody: Sequence[Mapping[str, Any]] = (),
    custody_fault: str | None = None,
    classes: Mapping[str, Sequence[str]] | None = None,
    found: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    spectra: Mapping[str, Sequence[Curve]] | None = None,
    paper: str = "a4",
) -> bytes:
    """The report of a seizure as a PDF. The same record gives the same bytes.

    Parameters
    ----------
    manifests : iterable of mapping
        Manifests of all packets of one seizure, in any order, each with its packet's SHA-256 as ``sha256``.
    language : str, optional
        ISO 639 code; sentences recorded in another language stay as the officer read them.
    lab_status : mapping of str to str, optional
        What a laboratory has said of an item, by its reference; taken from the answers where absent.
    answers : iterable of mapping, optional
        Answers of reachback and laboratory.
    custody : sequence of mapping, optional
        Entries of the custody log that concern it, oldest first.
    custody_fault : str, optional
        What is wrong with the chain of that log: empty if it was verified, absent if nobody looked.
    classes, found : mapping, optional
        As for `spectralid.report.seizure.seizure_facts`.
    spectra : mapping of str to sequence of (x, y, name), optional
        Curves to draw, by the id of the scan's packet; x in cm⁻¹.
    paper : {"a4", "letter"}, optional
        Paper.

    Returns
    -------
    bytes
        The file.

    Raises
    ------
    ParameterError
        If there is no manifest, they are of several seizures, or language or paper are not known.
    MissingDependencyError
        If reportlab is not installed.
    """
    words = Words(language)
    width, tall = paper_size(paper)
    inner = width - 2 * MARGIN
    facts = seizure_facts(
        manifests,
        language=language,
        lab_status=lab_status,
        answers=answers,
        custody=custody,
        custody_fault=custody_fault,
        classes=classes,
        found=found,
    )
    title = words.say("title.seizure")
    worst = {"alarm": facts["alarm"]} if facts["alarm"] else {}
    head = banner(worst, inner, words, title, simulated=facts["simulated"])
    rows = [
        *_opening(facts, inner, words),
        *(
            row
            for number, item in enumerate(facts["items"], 1)
            for row in _item(item, number, len(facts["items"]), inner, words, spectra or {})
        ),
        *_custody(facts, inner, words),
    ]
    last = tall - 2 * MARGIN - head.height - 16.0
    pages = _paged(rows, last)
    reference = facts["seizure"]["seizure_ref"]
    placed: list[list[Placed]] = []
    for number, page in enumerate(pages, 1):
        y = MARGIN + head.height
        here: list[Placed] = [(MARGIN, MARGIN, head)]
        for row in page:
            here.append((MARGIN, y, row))
            y += row.height
        end = footer(inner, words, number, len(pages), reference)
        here.append((MARGIN, tall - MARGIN - end.height, end))
        placed.append(here)
    return written(placed, paper, title=f"{title} {reference}", language=language)


def _paged(rows: Iterable[Row], tall: float) -> list[list[Row]]:
    """Rows in pages; what is glued together starts a new page rather than being torn apart."""
    pages: list[list[Row]] = [[]]
    used = 0.0
    group: list[Row] = []
    for row in rows:
        group.append(row)
        if row.glued:
            continue
        needed = sum(r.height for r in group)
        if pages[-1] and used + needed > tall:
            pages.append([])
            used = 0.0
        pages[-1] += group
        used += needed
        group = []
    pages[-1] += group
    return pages


def _glued(rows: Iterable[Row]) -> list[Row]:
    return [replace(row, glued=True) for row in rows]


def _heading(text: str, width: float, size: float = 10.5) -> Iterator[Row]:
    yield replace(space(6.0), glued=True)
    yield Row(1.5, (Stroke(((0, 0), (width, 0)), 0.8, _GREY),), glued=True)
    yield from _glued(text_rows(text, width, size, "bold", most=2))
    yield replace(space(2.0), glued=True)


def _label(text: str, width: float) -> list[Row]:
    return _glued([space(3.0), *text_rows(text, width, _SMALL, "bold", _GREY)])


def _said(items: Iterable[str], width: float, *, bullet: str = "•", bold: bool = False) -> Iterator[Row]:
    for item in items:
        face: Face = "bold" if bold else "regular"
        indent = _BODY * 1.1 if bullet else 0.0
        yield from text_rows(item, width, _BODY, face, lead=bullet, indent=indent, most=_LONGEST)


def _pairs(pairs: Iterable[tuple[str, str]], width: float, words: Words) -> Iterator[Row]:
    for key, value in pairs:
        if value:
            yield pair(words.say(f"fact.{key}"), value, width, _BODY, _LONGEST)


def _opening(facts: Mapping[str, Any], width: float, words: Words) -> Iterator[Row]:
    opened = facts["seizure"]
    yield from _heading(f"{words.say('section.seizure')} {opened['seizure_ref']}", width, 13.0)
    scans = sum(len(item["scans"]) for item in facts["items"])
    counts = (words.count("seizure.items", len(facts["items"])), words.count("seizure.scans", scans))
    yield from text_rows(" · ".join(counts), width, _BODY, "bold")
    clock = words.named("clock", opened["clock_state"]) if opened["clock_state"] else ""
    yield from _pairs(
        [
            ("opened", words.time(opened["opened_utc"])),
            ("clock", clock),
            ("place", opened["place"]),
            ("mode", words.named("mode", opened["mode"])),
            ("officer", ", ".join(opened["officers"])),
            ("site", ", ".join(opened["sites"])),
            ("device", ", ".join(opened["devices"])),
        ],
        width,
        words,
    )
    if opened["note"]:
        yield from _label(words.say("section.notes"), width)
        yield from _said([opened["note"]], width, bullet="")
    if facts["fentanyl_family"]:
        yield space(4.0)
        yield from text_rows(words.say("seizure.fentanyl_due"), width, _BODY, "bold", "#9B1320")
    if not facts["items"]:
        yield from text_rows(words.say("seizure.no_items"), width, _BODY)


def _alarm(alarm: str, headline: str, width: float, words: Words) -> list[Row]:
    """Sign, word and headline in one line or more."""
    said = f"{words.named('alarm', alarm)}: {headline}" if headline else words.named("alarm", alarm)
    lines = text_rows(said, width - 20.0, 9.5, "bold", signs.sign_of(alarm).colour, most=3)
    first = lines[0].moved(20.0)
    marks: list[Mark] = [*signs.drawn(alarm, 7.0, 6.5, 12.0), *first.marks]
    return [Row(14.0, tuple(marks)), *(line.moved(20.0) for line in lines[1:])]


def _item(
    item: Mapping[str, Any],
    number: int,
    items: int,
    width: float,
    words: Words,
    spectra: Mapping[str, Sequence[Curve]],
) -> Iterator[Row]:
    label = item["label"] or item["item_ref"]
    yield from _heading(words.say("section.item_of", number=number, items=items, label=label), width)
    assessment = item["assessment"]
    headline = record.text(assessment, "headline")
    if not headline and item["scans"]:
        headline = item["scans"][-1]["headline"]
    if item["alarm"]:
        yield from _glued(_alarm(item["alarm"], headline, width, words))
    yield from text_rows(words.named("laboratory", item["laboratory"]), width, _BODY, "bold")
    container = words.named("container", item["container"]) if item["container"] else ""
    yield from _pairs([("item", item["item_ref"]), ("container", container)], width, words)
    parts = [
        ("conflicts", record.texts(assessment, "conflicts"), "▲", True),
        ("item", [s for s in (record.text(assessment, "words"),) if s], "", False),
        ("precautions", _precautions(item), "•", True),
        ("classes", item.get("classes", []), "•", False),
        ("declared", words.declaration(item["declared"]), "", False),
        ("strips", [words.strip(s) for s in item["strips"]], "•", False),
        ("swgdrug", [", ".join(item["swgdrug"]) or words.say("swgdrug.none")], "", False),
        ("answers", [words.answer(a) for a in item["answers"]], "•", False),
        ("notes", item["notes"], "•", False),
        ("photos", [_photo(p) for p in item["photos"]], "•", False),
    ]
    for key, said, bullet, bold in parts:
        if said:
            yield from _label(words.say(f"section.{key}"), width)
            yield from _said(said, width, bullet=bullet, bold=bold)
    yield from _label(words.say("section.scans"), width)
    if not item["scans"]:
        yield from text_rows(words.say("seizure.no_scans"), width, _BODY)
        return
    keys = ("number", "time", "technique", "alarm", "result")
    names = [words.say(f"column.{k}") for k in keys]
    yield replace(cells(names, _SCANS, width, _SMALL, colour=_GREY), glued=True)
    for scan in item["scans"]:
        yield from _scan(scan, width, words, spectra.get(scan["packet_id"], ()))


def _precautions(item: Mapping[str, Any]) -> list[str]:
    """Those of the item as a whole, else those of its scans, each once."""
    whole = record.texts(item["assessment"], "precautions")
    return whole or list(dict.fromkeys(p for scan in item["scans"] for p in scan["precautions"]))


def _photo(photo: Mapping[str, Any]) -> str:
    return " ".join(v for v in (record.text(photo, "name"), record.text(photo, "blob")) if v)


def _scan(scan: Mapping[str, Any], width: float, words: Words, curves: Sequence[Curve]) -> Iterator[Row]:
    line = (
        "" if scan["seq"] is None else str(scan["seq"]),
        words.time(scan["captured_utc"]),
        words.named("technique", scan["technique"]),
        words.named("alarm", scan["alarm"]) if scan["alarm"] else "–",
        scan["headline"],
    )
    yield replace(cells(line, _SCANS, width, _BODY * 0.92, lines=(1, 1, 2, 2, 4)), glued=True)
    found = ", ".join(
        f"{words.substance(c)} {words.share(share)}"
        for c in scan["components"]
        if (share := record.number(c, "share")) is not None
    )
    clock = words.named("clock", scan["clock_state"]) if scan["clock_state"] else ""
    state = f"{words.say('fact.clock')}: {clock}" if clock else ""
    check = f"{words.say('fact.ipv')}: {words.check(scan['ipv'])}"
    below = [
        words.say("mark.simulated") if scan["simulated"] else "",
        found,
        " · ".join(s for s in (_named(scan), state, check) if s),
        " · ".join(s for s in (scan["packet_id"], scan["packet_sha256"]) if s),
    ]
    rows = [
        row
        for text in below
        if text
        for row in text_rows(text, width, _SMALL, "regular", _GREY, indent=width * _SCANS[1], most=3)
    ]
    if curves:
        infrared = scan["technique"].startswith("ftir")
        rows.append(
            drawing(
                [(x, y, words.named("technique", name)) for x, y, name in curves],
                width,
                30 * MM,
                x_name=words.say("axis.infrared" if infrared else "axis.raman"),
                y_name=words.named("unit", scan["unit"] or "arbitrary"),
                empty=words.say("axis.empty"),
                falling=infrared,
            )
        )
    yield from _glued(rows)
    yield space(3.0)


def _named(scan: Mapping[str, Any]) -> str:
    return " ".join(v for v in (scan["instrument"], scan["serial"]) if v)


def _custody(facts: Mapping[str, Any], width: float, words: Words) -> Iterator[Row]:
    """Hand-overs and seals, and what the log of the device says of the seizure."""
    log = facts["custody"]
    yield from _heading(words.say("section.custody"), width)
    if not facts["moves"] and not log["entries"]:
        yield from text_rows(words.say("none"), width, _BODY)
    if facts["moves"]:
        names = [words.say(f"column.{k}") for k in ("number", "time", "who", "entry")]
        starts = (_LOG[0], _LOG[1], _LOG[2], _LOG[3])
        yield replace(cells(names, starts, width, _SMALL, colour=_GREY), glued=True)
        for move in facts["moves"]:
            done = [words.named("move", move["action"] or move["kind"])]
            done += [f"→ {move['to']}"] if move["to"] else []
            done += [v for v in (move["item_ref"], move["note"]) if v]
            line = (
                "" if move["seq"] is None else str(move["seq"]),
                words.time(move["captured_utc"]),
                move["officer_ref"],
                " · ".join(done),
            )
            yield cells(line, starts, width, _BODY * 0.92, lines=(1, 1, 2, 6))
    entries = log["entries"]
    if entries:
        times = [words.time(record.text(e, "utc") or record.text(e, "wall_utc")) for e in entries]
        yield space(3.0)
        summary = words.say(
            "seizure.custody_summary", n=len(entries), first=times[0] or "–", last=times[-1] or "–"
        )
        yield from text_rows(summary, width, _BODY)
    if log["fault"] is not None:
        key = "seizure.custody_broken" if log["fault"] else "seizure.custody_verified"
        said = words.say(key, reason=log["fault"]) if log["fault"] else words.say(key)
        yield from text_rows(said, width, _BODY, "bold" if log["fault"] else "regular", most=_LONGEST)
    numbers = _runs(p["seq"] for p in facts["packets"] if isinstance(p["seq"], int))
    yield space(3.0)
    yield from text_rows(words.say("seizure.gap", list=numbers), width, _SMALL, "regular", _GREY, most=4)


def _runs(numbers: Iterable[int]) -> str:
    """Numbers as runs: "3–7, 9"."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in runs)
