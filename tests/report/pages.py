"""What independent readers (pypdf, pdfium) find in a PDF."""

from __future__ import annotations

import io
from itertools import combinations
from pathlib import Path
from typing import Any

import pypdfium2
from pypdf import PdfReader
from pypdf.generic import ContentStream

Box = tuple[float, float, float, float]


def texts(data: bytes) -> list[str]:
    """Text of each page, white space made single."""
    return [" ".join(page.extract_text().split()) for page in PdfReader(io.BytesIO(data)).pages]


def fonts(data: bytes) -> list[Any]:
    """Every font a page may use."""
    return [
        font.get_object()
        for page in PdfReader(io.BytesIO(data)).pages
        for font in page["/Resources"]["/Font"].get_object().values()
    ]


def embedded(font: Any) -> bool:
    if "/DescendantFonts" in font:
        return all(embedded(f.get_object()) for f in font["/DescendantFonts"])
    return "/FontDescriptor" in font and "/FontFile2" in font["/FontDescriptor"].get_object()


def operators(data: bytes, page: int = 0) -> list[tuple[list[Any], bytes]]:
    reader = PdfReader(io.BytesIO(data))
    return list(ContentStream(reader.pages[page].get_contents(), reader).operations)


def longest_path(data: bytes, page: int = 0) -> list[tuple[float, float]]:
    """Points of the line with most of them: the spectrum."""
    paths: list[list[tuple[float, float]]] = [[]]
    for args, op in operators(data, page):
        if op == b"m":
            paths.append([])
        if op in (b"m", b"l"):
            paths[-1].append((float(args[0]), float(args[1])))
    return max(paths, key=len)


def boxes(data: bytes) -> list[tuple[Box, list[Box]]]:
    """Size of each page and the boxes of its runs of text, as pdfium sees the ink."""
    found = []
    document = pypdfium2.PdfDocument(data)
    for page in document:
        text = page.get_textpage()
        found.append(((0.0, 0.0, *page.get_size()), [text.get_rect(n) for n in range(text.count_rects())]))
        text.close()
        page.close()
    document.close()
    return found


def overlaps(page_boxes: list[Box], allowed: float = 0.4) -> list[tuple[Box, Box]]:
    return [
        (a, b)
        for a, b in combinations(page_boxes, 2)
        if min(a[2], b[2]) - max(a[0], b[0]) > allowed and min(a[3], b[3]) - max(a[1], b[1]) > allowed
    ]


def pictures(data: bytes, stem: Path) -> None:
    """A PNG of every page."""
    document = pypdfium2.PdfDocument(data)
    for number, page in enumerate(document, 1):
        page.render(scale=1.8).to_pil().save(f"{stem}-{number}.png")
        page.close()
    document.close()
