"""What a spectrum is: signal quality, ranked candidates, and the joint fit of a library that decides."""

from spectralid.identify._hits import Hit
from spectralid.identify.analysis import Analysis, Component
from spectralid.identify.batch import BatchError, identify_each, identify_many
from spectralid.identify.confidence import Confidence
from spectralid.identify.engine import Identifier, analyse, identify, retrieve
from spectralid.identify.fusion import Fusion, Outcome, fuse
from spectralid.identify.instrument_model import (
    InstrumentModel,
    read_instrument_model,
    write_instrument_model,
)
from spectralid.identify.leads import Lead, LeadIndex
from spectralid.identify.quality import SignalQuality, signal_quality
from spectralid.identify.result import Candidate, Identification
from spectralid.identify.retrieval import RetrievalIndex, SearchResult
from spectralid.identify.selection import ShiftPrior
from spectralid.identify.similarity import derivative_cosine, hit_quality_index

__all__ = [
    "Analysis",
    "BatchError",
    "Candidate",
    "Component",
    "Confidence",
    "Fusion",
    "Hit",
    "Identification",
    "Identifier",
    "InstrumentModel",
    "Lead",
    "LeadIndex",
    "Outcome",
    "RetrievalIndex",
    "SearchResult",
    "ShiftPrior",
    "SignalQuality",
    "analyse",
    "derivative_cosine",
    "fuse",
    "hit_quality_index",
    "identify",
    "identify_each",
    "identify_many",
    "read_instrument_model",
    "retrieve",
    "signal_quality",
    "write_instrument_model",
]
