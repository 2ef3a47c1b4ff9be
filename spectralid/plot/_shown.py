"""A figure that a notebook shows by itself."""

from __future__ import annotations

import io

from matplotlib.figure import Figure

from spectralid.plot._glyphs import make_legible

__all__ = ["ShownFigure"]


class ShownFigure(Figure):
    """A figure of no pyplot: a notebook, which shows pyplot's, would print its size instead."""

    def _repr_png_(self) -> bytes:
        make_legible(self)
        buffer = io.BytesIO()
        # Without the version of matplotlib the same figure gives the same bytes for longer.
        self.savefig(buffer, format="png", metadata={"Software": None})
        return buffer.getvalue()
