"""The page of a scan: always one, whatever the record holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from spectralid.report import record, signs
from spectralid.report.curves import drawing
from spectralid.report.fitting import BODY, TITLE, Section, fitted, height
from spectralid.report.ink import MM, Fill, Mark, Row, Stroke, Word, cut, stacked, text_width, wrapped
from spectralid.report.pdf import MARGIN, Placed, paper_size, written
from spectralid.report.scan import Curve, scan_facts
from spectralid.report.tables import cells, pair
from spectralid.report.words import Words

__all__ = ["banner", "footer", "identifier_rows", "scan_report"]

# What gives room up, first to last. The mark, the alarm, the laboratory's status and the identity of the
# record stay.
_ORDER: Final = (
    "advice",
    "evidence",
    "shares",
    "not_excluded",
    "notes",
    "methods",
    "instrument",
    "answers",
    "escalation",
    "item",
    "declared",
    "swgdrug",
    "words",
    "strips",
    "components",
    "conflicts",
    "precautions",
    "headline",
    "laboratory",
    "record",
)
# Text and drawing shrink before anything is left out.
_SIZES: Final = ((1.15, 56.0), (1.08, 50.0), (1.0, 46.0), (0.95, 40.0), (0.9, 34.0), (0.86, 28.0))
_GREY: Final = "#444444"
_URGENT: Final = frozenset({"danger", "unknown"})
_GUTTER: Final = 14.0
_LEFT_SHARE: Final = 0.6
_BANNER: Final = 58.0
_FOOTER: Final = 20.0


def scan_report(
    manifest: Mapping[str, Any],
    spectra: Sequence[Curve] = (),
    *,
    language: str = "en",
    lab_status: str | None = None,
    answers: Iterable[Mapping[str, Any]] = (),
    evidence: Iterable[Mapping[str, Any]] = (),
    paper: str = "a4",
) -> bytes:
    """The report of a scan as a PDF of one page. The same record gives the same bytes.

    Where a record says more than a page can hold, text and drawing shrink; then sections are shortened from
    the least to the most urgent, each saying that it goes on in the JSON report.

    Parameters
    ----------
    manifest : mapping
        Manifest of the scan's packet, with the packet's SHA-256 as ``sha256``, which no manifest can hold.
    spectra : sequence of (x, y, name), optional
        Curves to draw: the sample first, then what was found in it, if it is known; x in cm⁻¹.
    language : str, optional
        ISO 639 code; sentences recorded in another language stay as the officer read them.
    lab_status : {"confirmed", "refuted", "inconclusive"}, optional
        What a laboratory has said; taken from the answers if absent.
    answers : iterable of mapping, optional
        Answers of reachback and laboratory to this scan or its item.
    evidence : iterable of mapping, optional
        Manifests of evidence recorded for the same item.
    paper : {"a4", "letter"}, optional
        Paper.

    Returns
    -------
    bytes
        The file.

    Raises
    ------
    ParameterError
        If the manifest is not that of a scan, or language or paper are not known.
    MissingDependencyError
        If reportlab is not installed.
    """
    words = Words(language)
    width, tall = paper_size(paper)
    facts = scan_facts(
        manifest,
        spectra,
        language=language,
        lab_status=lab_status,
        answers=answers,
        evidence=evidence,
    )
    inner = width - 2 * MARGIN
    left = inner * _LEFT_SHARE - _GUTTER / 2
    right = inner - left - _GUTTER
    columns = (
        (inner, [*_urgent(facts, words)]),
        (left, [*_explaining(facts, words)]),
        (right, [*_identifying(facts, words)]),
    )
    head = banner(facts["verdict"], inner, words, words.say("title.scan"), simulated=facts["simulated"])
    room = tall - 2 * MARGIN - head.height - _FOOTER
    for scale, drawing_mm in _SIZES:
        plot = drawing_mm * MM
        heights = [
            height([row for s in part for row in s.drawn(breadth, scale, words)]) for breadth, part in columns
        ]
        if _left_over(room - plot, heights) >= 0:
            break
    top, middle, side = fitted(columns, partial(_left_over, room - plot), _ORDER, scale, words)
    picture = _picture(manifest, spectra, inner, plot, words)
    placed: list[Placed] = [(MARGIN, MARGIN, head)]
    y = _put(placed, top, MARGIN, MARGIN + head.height)
    placed.append((MARGIN, y, picture))
    y += plot
    _put(placed, middle, MARGIN, y)
    _put(placed, side, MARGIN + left + _GUTTER, y)
    end = footer(inner, words, 1, 1, facts["identifiers"]["packet_id"])
    placed.append((MARGIN, tall - MARGIN - end.height, end))
    title = f"{words.say('title.scan')} {facts['identifiers']['packet_id']}".strip()
    return written([placed], paper, title=title, language=language)


def _left_over(room: float, heights: Sequence[float]) -> float:
    return room - heights[0] - max(heights[1:])


def _put(placed: list[Placed], rows: Iterable[Row], x: float, y: float) -> float:
    for row in rows:
        placed.append((x, y, row))
        y += row.height
    return y


def banner(
    verdict: Mapping[str, Any], width: float, words: Words, title: str, *, simulated: bool = False
) -> Row:
    """Head of a page: sign and word of the alarm, and in the largest letters that it is presumptive.

    Where an instrument was simulated, a black band over the whole width says so.
    """
    alarm = record.text(verdict, "alarm") or "unknown"
    sign = signs.sign_of(alarm)
    high = _BANNER - 8.0
    marks: list[Mark] = [
        Stroke(((0, 0), (width, 0), (width, high), (0, high), (0, 0)), 1.2, sign.colour),
        *signs.drawn(alarm, 28.0, high / 2, 38.0),
    ]
    said = words.named("alarm", alarm)
    mark = words.say("mark.presumptive")
    size = 25.0
    while 56 + text_width(said, size, "bold") + 20 + text_width(mark, 25.0, "bold") > width and size > 9:
        size -= 0.5
    marks.append(Word(56.0, high / 2 + 9.0, said, size, "bold", sign.colour))
    kind = record.text(verdict, "kind")
    if kind:
        marks.append(Word(56.0, high / 2 + 19.5, words.named("kind", kind), 7.5, "regular", _GREY))
    at = width - 8.0 - text_width(mark, 25.0, "bold")
    marks.append(Word(at, high / 2 + 9.0, mark, 25.0, "bold", "#000000"))
    (note,) = cut(wrapped(words.say("mark.note"), width * 0.62, 6.4), 1, width * 0.62, 6.4)
    marks.append(Word(width - 8.0 - text_width(note, 6.4), high / 2 + 19.5, note, 6.4, "regular", _GREY))
    marks.append(Word(width - 8.0 - text_width(title, 7.5), 11.0, title, 7.5, "regular", _GREY))
    row = Row(_BANNER, tuple(marks))
    return stacked([row, _band(words.say("mark.simulated"), width)]) if simulated else row


def _band(text: str, width: float) -> Row:
    size = 15.0
    box = Fill(((0, 0), (width, 0), (width, 21), (0, 21)), "#000000")
    start = (width - text_width(text, size, "bold")) / 2
    return Row(27.0, (box, Word(start, 15.8, text, size, "bold", "#FFFFFF")))


def footer(width: float, words: Words, page: int, pages: int, name: str) -> Row:
    """Foot of a page: the mark again, what it belongs to, and which page it is."""
    size = 6.4
    number = words.say("mark.page", page=page, pages=pages)
    mark = words.say("mark.presumptive")
    (shown,) = cut(wrapped(name, width * 0.55, size) or [""], 1, width * 0.55, size)
    return Row(
        _FOOTER - 6.0,
        (
            Stroke(((0, 0), (width, 0)), 0.5, _GREY),
            Word(0, 9.0, mark, size, "bold"),
            Word((width - text_width(shown, size)) / 2, 9.0, shown, size, "regular", _GREY),
            Word(width - text_width(number, size), 9.0, number, size, "regular", _GREY),
        ),
    )


def _urgent(facts: Mapping[str, Any], words: Words) -> Iterator[Section]:
    """What must be read first, over the whole width."""
    verdict = facts["verdict"]
    headline = record.text(verdict, "headline") or (words.say("refused.headline") if facts["refused"] else "")
    sentences = tuple(s for s in (record.text(verdict, "words") or facts["refused"],) if s)
    name = Section("headline", "", (headline,), bold=True, size=1.55)
    precautions = _section("precautions", record.texts(verdict, "precautions"), words, bullet="•")
    care = replace(precautions, bold=True, least=2)
    said = Section("words", "", sentences)
    # For what may kill, what to do stands above what it is.
    yield from (care, name, said) if record.text(verdict, "alarm") in _URGENT else (name, said, care)
    status = facts["laboratory"]
    yield Section("laboratory", "", (words.named("laboratory", status),), bold=True, size=1.1)
    conflicts = _section("conflicts", facts["conflicts"], words, bullet="▲")
    yield replace(conflicts, bold=True, least=3, colour=signs.SIGNS["danger"].colour)


def _explaining(facts: Mapping[str, Any], words: Words) -> Iterator[Section]:
    """The wide column: what was found and what it rests on."""
    verdict = facts["verdict"]
    components = facts["components"]
    yield Section(
        "components",
        words.say("section.components") if components else "",
        tuple(record.text(c, "slug") for c in components),
        rows=partial(_component, components, words),
        head=partial(_component_head, words) if components else None,
        least=min(4, len(components)),
    )
    yield _section("strips", [words.strip(s) for s in facts["strips"]], words, bullet="•")
    yield _section("declared", words.declaration(facts["declared"]), words)
    assessment = facts["assessment"]
    item = [s for s in (record.text(assessment, "headline"), record.text(assessment, "words")) if s]
    if item and (alarm := record.text(assessment, "alarm")):
        item[0] = f"{words.named('alarm', alarm)}: {item[0]}"
    yield _section("item", item, words)
    yield _section("not_excluded", record.texts(verdict, "not_excluded"), words, bullet="•")
    yield _section("shares", _shares(facts, words), words)
    yield _section("evidence", record.texts(verdict, "evidence"), words, bullet="•")
    yield _section("advice", record.texts(verdict, "advice"), words, bullet="•")
    yield _section("notes", facts["notes"], words)


def _identifying(facts: Mapping[str, Any], words: Words) -> Iterator[Section]:
    """The narrow column: which record it is, how it was made, and where it goes."""
    reasons = [words.named("escalate", code) for code in facts["escalation"]]
    told = [words.say("escalate.yes"), *reasons] if reasons else [words.say("escalate.no")]
    if facts["escalation_note"]:
        told.append(words.say("escalate.note", note=facts["escalation_note"]))
    yield replace(_section("escalation", told, words), least=2)
    yield _section("answers", [words.answer(a) for a in reversed(facts["answers"])], words, bullet="•")
    met = ", ".join(facts["swgdrug"]) or words.say("swgdrug.none")
    yield _section("swgdrug", [met, words.say("swgdrug.note")], words)
    for key, pairs in identifier_rows(facts, words):
        yield Section(
            key,
            words.say(f"section.{key}"),
            tuple(label for label, _ in pairs),
            rows=partial(_pair, pairs, 4 if key == "record" else 3),
            least=len(pairs) if key == "record" else 1,
            size=0.88,
        )


def _section(key: str, items: Sequence[str], words: Words, bullet: str = "") -> Section:
    return Section(key, words.say(f"section.{key}") if items else "", tuple(items), bullet=bullet)


def _shares(facts: Mapping[str, Any], words: Words) -> list[str]:
    told = [words.family_share(name, share) for name, share in sorted(facts["smallest_shares"].items())]
    return [" · ".join(told)] if told else []


def _picture(
    manifest: Mapping[str, Any], spectra: Sequence[Curve], width: float, tall: float, words: Words
) -> Row:
    entry = next(iter(record.records(manifest, "spectra")), {})
    technique = record.text(entry, "technique") or record.text(manifest, "instrument", "technique")
    infrared = technique.startswith("ftir")
    row = drawing(
        [(x, y, words.named("technique", name)) for x, y, name in spectra],
        width,
        tall - 6.0,
        x_name=words.say("axis.infrared" if infrared else "axis.raman"),
        y_name=words.named("unit", record.text(entry, "unit") or "arbitrary"),
        empty=words.say("axis.empty"),
        falling=infrared,
    )
    return stacked([row, Row(6.0)])


_COLUMNS: Final = (0.0, 0.38, 0.5, 0.67, 0.83)
"""Where the columns of the components begin, as shares of the width."""


def _component_head(words: Words, width: float, size: float) -> Row:
    keys = ("component", "share", "interval", "probability", "basis")
    said = [words.say(f"column.{k}") for k in keys]
    return cells(said, _COLUMNS, width, size * TITLE / BODY, colour=_GREY)


def _component(
    components: Sequence[Mapping[str, Any]], words: Words, number: int, width: float, size: float
) -> Row:
    found = components[number]
    share, low, high, chance = (record.number(found, k) for k in ("share", "low", "high", "probability"))
    shown = [
        words.substance(found),
        "–" if share is None else words.share(share),
        "–" if low is None or high is None else words.interval(low, high),
        "–" if chance is None else words.chance(chance),
        words.named("tier", record.text(found, "tier")),
    ]
    return cells(shown, _COLUMNS, width, size, lines=(2, 1, 1, 1, 1))


def identifier_rows(facts: Mapping[str, Any], words: Words) -> list[tuple[str, list[tuple[str, str]]]]:
    """Names and values of the record, the instrument and the methods; what is unknown is left out."""
    who = facts["identifiers"]
    instrument = who["instrument"]
    clock = words.named("clock", who["clock_state"]) if who["clock_state"] else ""
    kept = [
        ("packet", who["packet_id"]),
        ("sha256", who["packet_sha256"]),
        ("seq", "" if who["seq"] is None else str(who["seq"])),
        ("device", who["device_id"]),
        ("officer", who["officer_ref"]),
        ("site", who["site_ref"]),
        ("seizure", who["seizure_ref"]),
        ("item", who["item_ref"]),
        ("rescan", who["rescan_of"]),
        ("time", words.time(who["captured_utc"])),
        ("clock", clock),
        ("trusted", words.time(who["last_trusted_utc"])),
    ]
    exposure = [
        f"{said} {unit}".strip()
        for key, unit in (("integration_ms", "ms"), ("averages", "×"), ("power_mw", "mW"))
        if (value := record.number(instrument, key)) is not None and (said := words.number(value, 6))
    ]
    laser = record.number(instrument, "laser_nm")
    resolution = record.number(instrument, "resolution_cm1")
    snr = record.number(facts["quality"], "snr")
    quality = [f"SNR {words.number(snr, 3)}"] if snr is not None else []
    quality += [words.problem(code) for code in record.texts(facts["quality"], "problems")]
    container = record.text(facts["context"], "container")
    made = [
        ("instrument", _joined(record.text(instrument, "maker"), record.text(instrument, "model"))
            or record.text(instrument, "instrument")),
        ("serial", record.text(instrument, "serial")),
        ("laser", "" if laser is None else f"{words.number(laser, 6)} nm"),
        ("exposure", ", ".join(exposure)),
        ("resolution", "" if resolution is None else f"{words.number(resolution, 3)} cm⁻¹"),
        ("container", words.named("container", container) if container else ""),
        ("flags", ", ".join(record.texts(instrument, "flags"))),
        ("ipv", words.check(who["ipv"])),
        ("quality", ", ".join(quality)),
    ]  # fmt: skip
    library = who["library"]
    method = [
        ("engine", _joined(f"spectralid {who['engine']}" if who["engine"] else "", who["config"])),
        ("library", _joined(library["name"], library["version"], library["sha256"][:12])),
        ("policy", who["policy"]),
    ]
    told = record.text(facts["verdict"], "language")
    groups = [("record", kept), ("instrument", made), ("methods", method)]
    named = [
        (key, [(words.say(f"fact.{k}"), v) for k, v in pairs if v not in ("", None)]) for key, pairs in groups
    ]
    if told and told != words.language:
        named[-1][1].append(("", words.say("recorded_language", language=told)))
    return named


def _joined(*parts: str) -> str:
    return " ".join(p for p in parts if p)


def _pair(pairs: Sequence[tuple[str, str]], lines: int, number: int, width: float, size: float) -> Row:
    return pair(*pairs[number], width, size, lines)
