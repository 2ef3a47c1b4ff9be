"""The ``spectralid`` command: one module per sub-command, loaded thinly, run on demand."""

from spectralid.cli._main import main

__all__ = ["main"]
