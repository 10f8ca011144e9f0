"""The measures: each a frozen dataclass of parameters over a sketched corpus."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from synflaw_audit.measures.base import Batch, Marker, Marks, Measure, Score
from synflaw_audit.measures.compression import CompressionExcess
from synflaw_audit.measures.duplicates import DuplicateShare
from synflaw_audit.measures.echo import QuestionEcho
from synflaw_audit.measures.edges import EdgeShare
from synflaw_audit.measures.embedding import EmbeddingConcentration
from synflaw_audit.measures.layout import LayoutConcentration
from synflaw_audit.measures.lengths import LengthUniformity
from synflaw_audit.measures.near_duplicates import NearDuplicateShare
from synflaw_audit.measures.perplexity import PerplexityNarrowness
from synflaw_audit.measures.predictability import FormatPredictability
from synflaw_audit.measures.repetition import SelfRepetition
from synflaw_audit.measures.separability import Separability
from synflaw_audit.measures.structural import StructuralTokens
from synflaw_audit.measures.templates import TemplateShare

__all__ = ["MEASURES", "Batch", "Marker", "Marks", "Measure", "Score"]

# What a check's ``measure`` may name.
MEASURES: Mapping[str, type[Measure]] = MappingProxyType(
    {
        "compression_excess": CompressionExcess,
        "duplicate_share": DuplicateShare,
        "edge_share": EdgeShare,
        "embedding_concentration": EmbeddingConcentration,
        "format_predictability": FormatPredictability,
        "layout_concentration": LayoutConcentration,
        "length_uniformity": LengthUniformity,
        "near_duplicate_share": NearDuplicateShare,
        "perplexity_narrowness": PerplexityNarrowness,
        "question_echo": QuestionEcho,
        "self_repetition": SelfRepetition,
        "separability": Separability,
        "structural_tokens": StructuralTokens,
        "template_share": TemplateShare,
    }
)
