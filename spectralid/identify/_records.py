"""Results back from their plain form: what `to_dict` of a frozen dataclass gives, read by its type hints."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

__all__ = ["decoded"]

T = TypeVar("T")


def decoded(kind: type[T], data: Mapping[str, Any]) -> T:
    """A frozen dataclass from its plain form.

    Parameters
    ----------
    kind : type
        The dataclass; its fields are numbers, strings, enumerations, tuples and mappings of these, and other
        such dataclasses.
    data : mapping
        Its plain form. What is no field is left alone; a field with a default may be missing.

    Raises
    ------
    KeyError, TypeError, ValueError
        If something is missing or of the wrong kind.
    """
    hints = get_type_hints(kind)
    known: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]
        optional = field.default is not MISSING or field.default_factory is not MISSING
        if field.name in data or not optional:
            known[field.name] = _value(hints[field.name], data[field.name])
    return kind(**known)


def _value(hint: Any, plain: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if plain is None:
            return None
        (hint,) = (a for a in arguments if a is not types.NoneType)
        return _value(hint, plain)
    if origin is tuple:
        if isinstance(plain, Mapping):  # Pairs of a name and a value are written as an object.
            plain = list(plain.items())
        kinds = [arguments[0]] * len(plain) if arguments[-1] is Ellipsis else list(arguments)
        return tuple(_value(k, item) for k, item in zip(kinds, plain, strict=True))
    if origin is not None and issubclass(origin, Mapping):
        return {key: _value(arguments[1], item) for key, item in plain.items()}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(plain)
    if is_dataclass(hint) and isinstance(hint, type):
        return decoded(hint, plain)
    if hint is float and isinstance(plain, int) and not isinstance(plain, bool):
        return float(plain)
    if isinstance(hint, type) and not isinstance(plain, hint):
        raise TypeError(f"{plain!r} is no {hint.__name__}")
    return plain
