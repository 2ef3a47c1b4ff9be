"""What the officer chose on this tablet: who, where, which language, day or night. Kept in a small file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from spectralid.errors import ParameterError
from spectralid.files import write_whole

__all__ = ["LANGUAGES", "THEMES", "Settings", "load_settings", "save_settings"]

LANGUAGES: Final = ("en", "es")
THEMES: Final = ("day", "night")
# A pseudonym or a site code: what goes on record must not carry markup or a name with an address.
_REFERENCE: Final = re.compile(r"[\w .:/-]{0,64}")


@dataclass(frozen=True, slots=True)
class Settings:
    """Choices of the officer.

    Attributes
    ----------
    officer, site : str
        Pseudonyms that go on record.
    language : str
        One of `LANGUAGES`.
    theme : str
        One of `THEMES`.
    """

    officer: str = ""
    site: str = ""
    language: str = "en"
    theme: str = "day"

    def __post_init__(self) -> None:
        for name, allowed in (("language", LANGUAGES), ("theme", THEMES)):
            if getattr(self, name) not in allowed:
                raise ParameterError(name, getattr(self, name), "one of " + ", ".join(allowed))
        for name in ("officer", "site"):
            value = getattr(self, name)
            if not isinstance(value, str) or not _REFERENCE.fullmatch(value):
                raise ParameterError(name, value, "a reference of at most 64 letters, digits, space or .:/-_")

    def changed(self, wanted: Mapping[str, Any]) -> Settings:
        """The same with some choices changed.

        Raises
        ------
        ParameterError
            If there is no such choice, or it is not allowed.
        """
        unknown = set(wanted) - set(asdict(self))
        if unknown:
            raise ParameterError("setting", min(unknown), "one of " + ", ".join(asdict(self)))
        return replace(self, **wanted)


def load_settings(path: Path) -> Settings:
    """Settings in a file; defaults where there is none, or it is no longer understood."""
    try:
        return Settings().changed(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # ParameterError is a ValueError
        return Settings()


def save_settings(path: Path, settings: Settings) -> None:
    """Write settings so that either the old or the new ones are there after a power cut."""
    write_whole(path, [json.dumps(asdict(settings)).encode()], mode=0o644)
