"""What to tell, what to do, and whether to escalate. Always presumptive.

Public names load when first used: wording and policies need nothing of the engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spectralid._lazy import lazy

_WHERE = {
    "Alarm": "spectralid.verdict.alarm",
    "Assessment": "spectralid.verdict.item",
    "Catalog": "spectralid.verdict.catalog",
    "Circumstances": "spectralid.verdict.circumstances",
    "Declaration": "spectralid.verdict.goods",
    "DeclaredCheck": "spectralid.verdict.declared",
    "Policy": "spectralid.verdict.policy",
    "PolicyError": "spectralid.verdict.policy_file",
    "PolicyKeeper": "spectralid.verdict.policy_keeper",
    "StripEvidence": "spectralid.verdict.strips",
    "StripTest": "spectralid.verdict.strips",
    "Verdict": "spectralid.verdict.result",
    "VerdictKind": "spectralid.verdict.result",
    "assess": "spectralid.verdict.item",
    "decide": "spectralid.verdict.deciding",
    "default_policy": "spectralid.verdict.policy",
    "load_policy": "spectralid.verdict.policy_file",
    "suggest_other_technique": "spectralid.verdict.suggestion",
}

__all__ = [
    "Alarm",
    "Assessment",
    "Catalog",
    "Circumstances",
    "Declaration",
    "DeclaredCheck",
    "Policy",
    "PolicyError",
    "PolicyKeeper",
    "StripEvidence",
    "StripTest",
    "Verdict",
    "VerdictKind",
    "assess",
    "decide",
    "default_policy",
    "load_policy",
    "suggest_other_technique",
]

if TYPE_CHECKING:
    from spectralid.verdict.alarm import Alarm as Alarm
    from spectralid.verdict.catalog import Catalog as Catalog
    from spectralid.verdict.circumstances import Circumstances as Circumstances
    from spectralid.verdict.deciding import decide as decide
    from spectralid.verdict.declared import DeclaredCheck as DeclaredCheck
    from spectralid.verdict.goods import Declaration as Declaration
    from spectralid.verdict.item import Assessment as Assessment
    from spectralid.verdict.item import assess as assess
    from spectralid.verdict.policy import Policy as Policy
    from spectralid.verdict.policy import default_policy as default_policy
    from spectralid.verdict.policy_file import PolicyError as PolicyError
    from spectralid.verdict.policy_file import load_policy as load_policy
    from spectralid.verdict.policy_keeper import PolicyKeeper as PolicyKeeper
    from spectralid.verdict.result import Verdict as Verdict
    from spectralid.verdict.result import VerdictKind as VerdictKind
    from spectralid.verdict.strips import StripEvidence as StripEvidence
    from spectralid.verdict.strips import StripTest as StripTest
    from spectralid.verdict.suggestion import suggest_other_technique as suggest_other_technique

__getattr__, __dir__ = lazy(__name__, _WHERE, __all__)
