"""What a spectrum is like: signal quality, retrieval over a library, ranked candidates."""

from spectralid.identify._hits import Hit
from spectralid.identify.engine import Identifier, identify
from spectralid.identify.leads import Lead, LeadIndex
from spectralid.identify.quality import SignalQuality, signal_quality
from spectralid.identify.result import Candidate, Identification
from spectralid.identify.retrieval import RetrievalIndex, SearchResult
from spectralid.identify.similarity import derivative_cosine, hit_quality_index

__all__ = [
    "Candidate",
    "Hit",
    "Identification",
    "Identifier",
    "Lead",
    "LeadIndex",
    "RetrievalIndex",
    "SearchResult",
    "SignalQuality",
    "derivative_cosine",
    "hit_quality_index",
    "identify",
    "signal_quality",
]
