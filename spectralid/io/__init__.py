"""Spectrum files: `read`, `read_all` and `write`, one module per format behind them.

A format is chosen by content before extension. `formats` lists what is known.
"""

from spectralid.io._registry import Format, ReadOptions, Source, formats, read, read_all, write

__all__ = ["Format", "ReadOptions", "Source", "formats", "read", "read_all", "write"]
