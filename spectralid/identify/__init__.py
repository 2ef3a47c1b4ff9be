"""What a spectrum is: signal quality, ranked candidates, and the joint fit of a library to it."""

from spectralid.identify._hits import Hit
from spectralid.identify.analysis import Analysis, Component
from spectralid.identify.engine import Identifier, analyse, identify
from spectralid.identify.leads import Lead, LeadIndex
from spectralid.identify.quality import SignalQuality, signal_quality
from spectralid.identify.result import Candidate, Identification
from spectralid.identify.retrieval import RetrievalIndex, SearchResult
from spectralid.identify.selection import ShiftPrior
from spectralid.identify.similarity import derivative_cosine, hit_quality_index

__all__ = [
    "Analysis",
    "Candidate",
    "Component",
    "Hit",
    "Identification",
    "Identifier",
    "Lead",
    "LeadIndex",
    "RetrievalIndex",
    "SearchResult",
    "ShiftPrior",
    "SignalQuality",
    "analyse",
    "derivative_cosine",
    "hit_quality_index",
    "identify",
    "signal_quality",
]
