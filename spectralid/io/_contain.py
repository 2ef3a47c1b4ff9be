"""Using somebody else's file reader without letting its errors, prints or warnings out."""

from __future__ import annotations

import contextlib
import io
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

from spectralid.errors import SpectralIDError, UnreadableFileError

__all__ = ["contained", "temporary_file"]


@contextlib.contextmanager
def temporary_file(data: bytes, suffix: str) -> Iterator[Path]:
    """A file holding `data` while the block runs, for packages that only open paths."""
    with tempfile.TemporaryDirectory(prefix="spectralid-") as folder:
        path = Path(folder) / f"input{suffix}"
        path.write_bytes(data)
        yield path


@contextlib.contextmanager
def contained(file: str, package: str) -> Iterator[None]:
    """Run a package's reader; whatever it raises becomes one sentence, what it prints is dropped.

    Parameters
    ----------
    file : str
        File name for messages.
    package : str
        The package that reads.

    Raises
    ------
    UnreadableFileError
        If the package raises anything.
    """
    silent = io.StringIO()
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(silent),
            contextlib.redirect_stderr(silent),
        ):
            warnings.simplefilter("ignore")
            yield
    except SpectralIDError:
        raise
    except Exception as error:
        detail = " ".join(str(error).split())[:100]
        raise UnreadableFileError(
            f"it is damaged or of a kind {package} cannot read ({type(error).__name__}: {detail}); export it "
            "as JCAMP-DX or two-column text.",
            file=file,
        ) from error
