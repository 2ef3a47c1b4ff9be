"""Who may do what: one table, and whatever is not in it is refused.

Every operation of the server names exactly one action, and an action names the roles that may carry it out.
What only the record can tell (who decided, who may therefore not review) is checked where it is done.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["ACCOUNT_ROLES", "ACTIONS", "ALONE", "ANYONE", "ROLES", "may", "table"]

ANYONE: Final = "anyone"
"""Who has not said who they are."""

ROLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "device": "an enrolled tablet, by its certificate",
        "officer": "uses a tablet; has no account on the server",
        "chemist": "works on cases of the queue",
        "senior_chemist": "as a chemist, and reviews what another decided",
        "lab_analyst": "enters what the laboratory found",
        "librarian": "proposes, approves and releases library entries (never the same person both)",
        "qa_manager": "watches quality; changes nothing",
        "auditor": "reads everything, writes nothing",
        "admin": "accounts and devices; sees no evidence",
    }
)
"""The roles, and what they are for."""

ACCOUNT_ROLES: Final = tuple(name for name in ROLES if name not in ("device", "officer"))
"""Those a person can have on the server."""

ALONE: Final = frozenset({"auditor", "admin"})
"""Those an account has without any other: who reads all writes nothing, and who gives access has none."""

_CHEMISTS: Final = ("chemist", "senior_chemist")
_PERSONS: Final = ACCOUNT_ROLES

# An auditor may do everything that ends in ".read" and that a person may do; it is added below.
_TABLE: Final[Mapping[str, tuple[str, ...]]] = {
    # who is there
    "api.read": (ANYONE,),
    "health.read": (ANYONE,),
    "session.open": (ANYONE,),
    "account.setup": (ANYONE,),
    "self.read": _PERSONS,
    "self.write": _PERSONS,
    # tablets
    "packet.send": ("device",),
    "inbox.read": ("device",),
    "answer.shown": ("device",),
    "ipv.send": ("device",),
    "release.read": ("device",),
    "time.read": ("device",),
    # chemists
    "queue.read": _CHEMISTS,
    "case.read": (*_CHEMISTS, "lab_analyst", "qa_manager"),
    "case.lease": _CHEMISTS,
    "case.adjudicate": _CHEMISTS,
    "case.interim": _CHEMISTS,
    "case.review": ("senior_chemist",),
    "link.write": _CHEMISTS,
    "similar.read": _CHEMISTS,
    "report.export": _CHEMISTS,
    "report.persons": ("senior_chemist",),
    # laboratory and library
    "lab.record": ("lab_analyst",),
    "lab.read": ("lab_analyst",),
    "candidate.propose": ("librarian",),
    "candidate.approve": ("librarian",),
    "candidate.read": ("librarian", "qa_manager"),
    "release.make": ("librarian",),
    "research.run": ("librarian",),
    "research.read": (*_CHEMISTS, "librarian"),
    # watching
    "intelligence.read": (*_CHEMISTS, "qa_manager"),
    "alert.acknowledge": _CHEMISTS,
    "scoreboard.read": (*_CHEMISTS, "qa_manager"),
    "qa.read": ("qa_manager",),
    "audit.read": (),
    "metrics.read": ("admin", "qa_manager"),
    # accounts and devices
    "account.read": ("admin",),
    "account.write": ("admin",),
    "device.read": ("admin",),
    "check.read": (*_CHEMISTS, "lab_analyst", "qa_manager", "admin"),
    "device.write": ("admin",),
}

_NOT_OF_AN_AUDITOR: Final = frozenset({(ANYONE,), ("device",)})

ACTIONS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        action: frozenset(
            (*roles, "auditor") if action.endswith(".read") and roles not in _NOT_OF_AN_AUDITOR else roles
        )
        for action, roles in _TABLE.items()
    }
)
"""Which roles may carry out an action."""


def may(roles: Collection[str], action: str) -> bool:
    """Whether somebody with these roles may do this; an action that is not in the table nobody may."""
    allowed = ACTIONS.get(action, frozenset())
    return ANYONE in allowed or not allowed.isdisjoint(roles)


def table() -> str:
    """The table as it stands in docs/reachback.md."""
    lines = ["| action | " + " | ".join(ROLES) + " |", "|---|" + ":-:|" * len(ROLES)]
    for action, allowed in ACTIONS.items():
        if ANYONE in allowed:
            marks = ["●"] * len(ROLES)
        else:
            marks = ["●" if role in allowed else "" for role in ROLES]
        lines.append(f"| `{action}` | " + " | ".join(marks) + " |")
    return "\n".join(lines) + "\n"
