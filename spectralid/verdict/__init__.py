"""What to tell, what to do, and whether to escalate. Always presumptive."""

from spectralid.verdict.decide import decide
from spectralid.verdict.hazards import Alarm
from spectralid.verdict.policy import POLICY, Policy
from spectralid.verdict.result import Verdict, VerdictKind

__all__ = ["POLICY", "Alarm", "Policy", "Verdict", "VerdictKind", "decide"]
