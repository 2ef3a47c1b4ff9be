"""Reading TOML files of profiles: every value checked, every complaint with file and key."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from spectralid.errors import FileError

__all__ = ["Keys", "is_number", "parse_toml", "read_bytes", "read_toml"]


def read_toml(path: Path, shown: str) -> dict[str, Any]:
    """The table in a TOML file called `shown` in messages.

    Raises
    ------
    FileError
        If it cannot be read or is no TOML.
    """
    return parse_toml(read_bytes(path, shown), shown)


def read_bytes(path: Path, shown: str) -> bytes:
    """What the file called `shown` in messages holds.

    Raises
    ------
    FileError
        If it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileError(f"it cannot be read ({error.strerror}).", file=shown) from None


def parse_toml(data: bytes, shown: str) -> dict[str, Any]:
    """The table in the bytes of a TOML file called `shown` in messages.

    Raises
    ------
    FileError
        If it is no TOML.
    """
    try:
        # What tomllib sees as one line end may be two characters.
        return tomllib.loads(data.decode("utf-8").replace("\r\n", "\n"))
    except UnicodeDecodeError:
        raise FileError("it is not text in UTF-8.", file=shown) from None
    except RecursionError:
        raise FileError("it is nested too deeply.", file=shown) from None
    except tomllib.TOMLDecodeError as error:
        raise FileError(f"it is not valid TOML: {error}.", file=shown) from None


class Keys:
    """Reads checked values out of a table; keys in tables within it are joined by dots.

    Parameters
    ----------
    table : mapping
        The table.
    file : str
        Its file, for messages.
    within : str, optional
        What to put before its keys in messages, with a dot at the end.
    """

    def __init__(self, table: Mapping[str, Any], file: str, within: str = "") -> None:
        self._table = table
        self._file = file
        self._within = within

    def refuse(self, key: str, why: str) -> NoReturn:
        """Raise a `FileError` about a key."""
        raise FileError(why, file=self._file, where=f"key {self._within}{key}")

    def value(self, key: str) -> Any:
        """What is there."""
        value: Any = self._table
        for part in key.split("."):
            if not isinstance(value, Mapping) or part not in value:
                self.refuse(key, "is missing.")
            value = value[part]
        return value

    def text(self, key: str) -> str:
        """A text that is not empty."""
        value = self.value(key)
        if not isinstance(value, str) or not value.strip():
            self.refuse(key, f"must be a text; it is {value!r}.")
        return str(value).strip()

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        value = self.value(key)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.refuse(key, f"must be a list of texts; it is {value!r}.")
        return tuple(value)

    def switch(self, key: str) -> bool:
        """True or false."""
        value = self.value(key)
        if not isinstance(value, bool):
            self.refuse(key, f"must be true or false; it is {value!r}.")
        return bool(value)

    def number(self, key: str, *, low: float, high: float) -> float:
        """A number from `low` to `high`."""
        value = self.value(key)
        if not is_number(value) or not low <= value <= high:
            self.refuse(key, f"must be a number from {low:g} to {high:g}; it is {value!r}.")
        return float(value)

    def whole(self, key: str, *, low: int, high: int) -> int:
        """A whole number from `low` to `high`."""
        value = self.number(key, low=low, high=high)
        if not value.is_integer():
            self.refuse(key, f"must be a whole number; it is {value!r}.")
        return int(value)


def is_number(value: object) -> bool:
    """Whether TOML gave a number; its true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
