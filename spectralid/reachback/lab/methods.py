"""Methods of a laboratory, and the SWGDRUG category of each technique in them.

The categories are facts of SWGDRUG Recommendations 8.0 (2019), part IIIB, table 1. A hyphenated method counts
as its techniques where the results of each are used (there, IIIB.3); that is the laboratory's to say, and it
is taken as said. No conclusion is drawn from the categories: whether a scheme suffices is the laboratory's
word too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from spectralid.errors import ParameterError

__all__ = ["METHODS", "SOURCE", "categories", "known"]

SOURCE: Final = "SWGDRUG Recommendations 8.0 (2019), part IIIB, table 1"

_TECHNIQUES: Final[Mapping[str, str]] = {
    "IR": "A",
    "MS": "A",
    "NMR": "A",
    "Raman": "A",
    "XRD": "A",
    "CE": "B",
    "GC": "B",
    "IMS": "B",
    "LC": "B",
    "microcrystalline": "B",
    "SFC": "B",
    "TLC": "B",
    "UV-Vis": "B",
    "macroscopic (cannabis)": "B",
    "microscopic (cannabis)": "B",
    "colour test": "C",
    "fluorescence": "C",
    "immunoassay": "C",
    "melting point": "C",
    "pharmaceutical identifiers": "C",
}

_COMBINED: Final[Mapping[str, tuple[str, ...]]] = {
    "GC-MS": ("GC", "MS"),
    "GC-MS/MS": ("GC", "MS"),
    "GC-IR": ("GC", "IR"),
    "GC-FID": ("GC",),
    "LC-MS": ("LC", "MS"),
    "LC-MS/MS": ("LC", "MS"),
    "LC-QTOF": ("LC", "MS"),
    "LC-DAD": ("LC", "UV-Vis"),
    "HPLC": ("LC",),
    "CE-MS": ("CE", "MS"),
    "SFC-MS": ("SFC", "MS"),
    "DART-MS": ("MS",),
    "FTIR": ("IR",),
    "FTIR-ATR": ("IR",),
    "qNMR": ("NMR",),
}

METHODS: Final[Mapping[str, tuple[str, ...]]] = {**{one: (one,) for one in _TECHNIQUES}, **_COMBINED}
"""Methods by the name they are recorded under, each with its techniques."""

_ALIASES: Final = {
    "atr-ftir": "FTIR-ATR",
    "infrared": "IR",
    "ms/ms": "MS",
    "lc-qtof-ms": "LC-QTOF",
    "hplc-ms": "LC-MS",
    "hplc-ms/ms": "LC-MS/MS",
    "hplc-dad": "LC-DAD",
    "hplc-uv": "LC-DAD",
    "lc-uv": "LC-DAD",
    "uv/vis": "UV-Vis",
    "color test": "colour test",
    "colour tests": "colour test",
    "color tests": "colour test",
}


def _plain(name: str) -> str:
    return re.sub(r"[\s_]*[-\u2010-\u2013]+[\s_]*|[\s_]+", "-", name.strip()).casefold()


_BY_PLAIN: Final = {
    **{_plain(name): name for name in METHODS},
    **{_plain(said): name for said, name in _ALIASES.items()},
}


def known(name: str) -> str:
    """A method as it is recorded, from how a laboratory writes it.

    Raises
    ------
    ParameterError
        If it is not known here.
    """
    found = _BY_PLAIN.get(_plain(name))
    if found is None:
        raise ParameterError("method", name[:60], "one of " + ", ".join(METHODS))
    return found


def categories(methods: Iterable[str]) -> tuple[str, ...]:
    """SWGDRUG categories that some methods bring, one letter per technique, each technique counted once.

    Parameters
    ----------
    methods : iterable of str
        As `known` gives them.

    Returns
    -------
    tuple of str
        Sorted: ``("A", "B")`` for GC-MS.
    """
    techniques = dict.fromkeys(one for method in methods for one in METHODS[known(method)])
    return tuple(sorted(_TECHNIQUES[one] for one in techniques))
