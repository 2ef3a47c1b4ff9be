"""JCAMP-DX structure: labelled data records, blocks and links between them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from spectralid.io._jcamp_codec import Malformed

__all__ = ["Block", "Record", "Table", "clean_bytes", "leading_number", "normal_label", "parse_blocks"]

# Bounds that no real file comes near and that keep a hostile one from filling the memory.
MAXIMUM_RECORDS: Final = 200_000
MAXIMUM_HEADER_BYTES: Final = 16 * 1024 * 1024
MAXIMUM_DEPTH: Final = 16

# A single "#" is a slip seen in real files ("#XYDATA="); it counts only before something label-like.
_RECORD: Final = re.compile(rb"(?m)^[ \t]*+(?:##([^=\n]{0,120}+)=?|#([A-Za-z][A-Za-z0-9 ./_\-]{0,40}+)=)")
_COMMENT: Final = re.compile(r"\$\$.*")
_NUMBER: Final = re.compile(r"\s*([+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[Ee][+-]?\d{1,4})?)")
# What a link block may state once for every block inside it.
_SHARED: Final = (
    "ORIGIN", "OWNER", "DATE", "LONGDATE", "TIME", "SPECTROMETER/DATA SYSTEM", "INSTRUMENT PARAMETERS",
    "SAMPLING PROCEDURE", "RESOLUTION", "CAS REGISTRY NO", "CAS NAME", "NAMES", "MOLFORM",
)  # fmt: skip
_TABLES: Final = frozenset(
    {
        "XYDATA",
        "XYPOINTS",
        "PEAKTABLE",
        "PEAKASSIGNMENTS",
        "DATATABLE",
        "RADATA",
        "ASSIGNMENTS",
        "$SPECTRALIDSD",
    }
)


def normal_label(label: str) -> str:
    """A label as the standard compares it: upper case, without spaces, dashes, slashes and underscores."""
    return re.sub(r"[\s\-/_]", "", label).upper()


def leading_number(text: str) -> float | None:
    """The finite number `text` begins with, decimal comma or point, or ``None``."""
    match = _NUMBER.match(text)
    value = math.nan if match is None else float(match[1].replace(",", "."))
    return value if math.isfinite(value) else None


def clean_bytes(data: bytes) -> bytes:
    """The file with one kind of line end, without byte order mark, NUL padding and DOS end-of-file mark."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"\0" in data or b"\x1a" in data:
        data = data.translate(bytes.maketrans(b"\0\x1a", b"  "))
    return data


def _decoded(raw: bytes) -> str:
    for encoding in ("utf-8", "cp1252"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")


@dataclass(frozen=True, slots=True)
class Record:
    """One labelled data record that is not a table.

    Attributes
    ----------
    label : str
        As the file writes it.
    raw : str
        Its text, comments included.
    text : str
        Its text without comments.
    line : int
        Line of the file it begins on.
    """

    label: str
    raw: str
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Table:
    """Where one data table lies in the file.

    Attributes
    ----------
    label, form : str
        Normal label and variable list, such as ``"XYDATA"`` and ``"(X++(Y..Y))"``.
    line : int
        Line of the file the label stands on; the data begin on the next.
    start, end : int
        The data's bytes in the cleaned file.
    page : str
        The page of an NTUPLES table it belongs to.
    """

    label: str
    form: str
    line: int
    start: int
    end: int
    page: str = ""


@dataclass(slots=True)
class Block:
    """One block: its records by normal label, and its tables."""

    line: int
    parent: Block | None = None
    records: dict[str, Record] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    ended: bool = False

    @property
    def is_link(self) -> bool:
        """Whether other blocks stand inside this one."""
        return "LINK" in self.text("DATATYPE").upper() or ("BLOCKS" in self.records and not self.tables)

    def add(self, record: Record) -> None:
        """Keep `record`; of several with one label the first that says anything counts."""
        key = normal_label(record.label)
        known = self.records.get(key)
        if known is None or not known.text:
            self.records[key] = record
        if record.raw:
            earlier = self.metadata.get(record.label)
            # Bounded so that one label repeated without end stays linear.
            if earlier is None:
                self.metadata[record.label] = record.raw
            elif len(earlier) < 10_000 and record.raw != earlier:
                self.metadata[record.label] = f"{earlier}\n{record.raw}"

    def text(self, *labels: str) -> str:
        """Text of the first of `labels` that says anything, else empty."""
        for label in labels:
            record = self.records.get(label)
            if record is not None and record.text:
                return record.text
        return ""

    def line_of(self, label: str) -> int:
        """Line a label stands on (the block's own where it is absent)."""
        record = self.records.get(label)
        return self.line if record is None else record.line

    def number(self, label: str) -> float | None:
        """The number a record begins with, or ``None`` where there is none."""
        return leading_number(self.text(label))


def _records(data: bytes) -> Iterator[tuple[str, int, int, int]]:
    """Label, line number, and the bytes of the value (start, end) of every record."""
    line, counted_to = 1, 0
    pending: tuple[str, int, int] | None = None
    for found, match in enumerate(_RECORD.finditer(data)):
        line += data.count(b"\n", counted_to, match.start())
        counted_to = match.start()
        if found == MAXIMUM_RECORDS:
            raise Malformed(f"the file has more than {MAXIMUM_RECORDS:,} labels.", line)
        if pending is not None:
            yield (*pending, match.start())
        pending = (_decoded(match[1] if match[1] is not None else match[2]).strip(), line, match.end())
    if pending is not None:
        yield (*pending, len(data))


def _inherit(block: Block) -> Block:
    if block.parent is not None:
        for key in map(normal_label, _SHARED):
            record = block.parent.records.get(key)
            if record is not None and record.raw and not block.text(key):
                block.records[key] = record
                block.metadata.setdefault(record.label, record.raw)
    return block


def parse_blocks(data: bytes) -> list[Block]:
    """Split a cleaned file (see `clean_bytes`) into its blocks, link blocks included, in file order.

    Raises
    ------
    Malformed
        If there is no label at all, or a bound against hostile files is passed.
    """
    blocks: list[Block] = []
    open_blocks: list[Block] = []
    page = ""
    header_bytes = 0
    for label, line, start, end in _records(data):
        key = normal_label(label)
        if key == "END":
            if open_blocks:
                open_blocks.pop().ended = True
            continue
        if not open_blocks or (key == "TITLE" and "TITLE" in open_blocks[-1].records):
            # A new title inside anything but a link block means that an ##END= was forgotten.
            if open_blocks and not open_blocks[-1].is_link:
                open_blocks.pop()
            if len(open_blocks) == MAXIMUM_DEPTH:
                raise Malformed(f"blocks are nested more than {MAXIMUM_DEPTH} deep.", line)
            block = Block(line, parent=open_blocks[-1] if open_blocks else None)
            open_blocks.append(block)
            blocks.append(block)
            page = ""
        block = open_blocks[-1]
        if key in _TABLES:
            stop = data.find(b"\n", start, end)
            stop = end if stop < 0 else stop
            form = _COMMENT.sub("", _decoded(data[start : min(stop, start + 200)])).strip()
            block.tables.append(Table(key, form, line, min(stop + 1, end), end, page))
            continue
        header_bytes += end - start
        if header_bytes > MAXIMUM_HEADER_BYTES:
            raise Malformed(f"the header is longer than {MAXIMUM_HEADER_BYTES >> 20} MB.", line)
        raw = _decoded(data[start:end]).strip()
        record = Record(label, raw, _COMMENT.sub("", raw).strip(), line)
        if key == "PAGE":
            page = record.text
        else:
            block.add(record)
    if not blocks:
        raise Malformed("there is no JCAMP-DX label (##…=) in it.", 1)
    return [_inherit(block) for block in blocks]
