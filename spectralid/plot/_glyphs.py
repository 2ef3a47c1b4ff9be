"""Text of figures in scripts the default font does not have: another font, or else spelled out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["make_legible"]

# Fonts with Chinese, Japanese and Korean as systems bring them; the first that has a character draws it.
FALLBACKS: Final = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei",
    "Droid Sans Fallback", "Microsoft YaHei", "SimHei", "SimSun", "PingFang SC", "Hiragino Sans GB",
    "Heiti SC", "Yu Gothic", "MS Gothic", "Malgun Gothic", "Apple SD Gothic Neo", "Arial Unicode MS",
    "Unifont",
)  # fmt: skip


def make_legible(figure: Figure) -> None:
    r"""Give every text of a figure fonts that have its characters; what none has is written as an escape.

    An empty box says nothing; ``\u6df7`` can at least be looked up, and is what the command line prints
    where it cannot print the character.
    """
    from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
    from matplotlib.text import Text

    default = get_font(findfont(FontProperties()))
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    lacking = {c for text in texts for c in text.get_text() if not c.isspace() and not _has(default, c)}
    if not lacking:
        return
    installed = {font.name for font in fontManager.ttflist}
    chosen: list[str] = []
    for name in FALLBACKS:
        if name in installed:
            font = get_font(findfont(FontProperties(family=name)))
            found = {c for c in lacking if _has(font, c)}
            if found:
                chosen.append(name)
                lacking -= found
    for text in texts:
        text.set_fontfamily([*text.get_fontfamily(), *chosen])
        if lacking & set(text.get_text()):
            text.set_text("".join(_escaped(c) if c in lacking else c for c in text.get_text()))


def _has(font: object, character: str) -> bool:
    index: int = font.get_char_index(ord(character))  # type: ignore[attr-defined]
    return index != 0


def _escaped(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode("ascii")
