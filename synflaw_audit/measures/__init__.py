"""The measures: each a frozen dataclass of parameters over a sketched corpus."""

from __future__ import annotations

from synflaw_audit.errors import CatalogueError
from synflaw_audit.measures.base import Batch, Marker, Marks, Measure, Score
from synflaw_audit.registry import Registry

__all__ = ["MEASURES", "Batch", "Marker", "Marks", "Measure", "Score"]

# What a check's ``measure`` may name.
MEASURES: Registry[type[Measure]] = Registry(
    "measure",
    "synflaw_audit.measures",
    {
        "compression_excess": "synflaw_audit.measures.compression:CompressionExcess",
        "duplicate_share": "synflaw_audit.measures.duplicates:DuplicateShare",
        "edge_share": "synflaw_audit.measures.edges:EdgeShare",
        "embedding_concentration": "synflaw_audit.measures.embedding:EmbeddingConcentration",
        "format_predictability": "synflaw_audit.measures.predictability:FormatPredictability",
        "layout_concentration": "synflaw_audit.measures.layout:LayoutConcentration",
        "length_uniformity": "synflaw_audit.measures.lengths:LengthUniformity",
        "near_duplicate_share": "synflaw_audit.measures.near_duplicates:NearDuplicateShare",
        "opening_concentration": "synflaw_audit.measures.openings:OpeningConcentration",
        "perplexity_narrowness": "synflaw_audit.measures.perplexity:PerplexityNarrowness",
        "question_echo": "synflaw_audit.measures.echo:QuestionEcho",
        "self_repetition": "synflaw_audit.measures.repetition:SelfRepetition",
        "separability": "synflaw_audit.measures.separability:Separability",
        "structural_tokens": "synflaw_audit.measures.structural:StructuralTokens",
        "template_opening": "synflaw_audit.measures.template_openings:TemplateOpening",
        "template_share": "synflaw_audit.measures.templates:TemplateShare",
    },
    requires=("score", "marker", "__dataclass_fields__"),
    error=CatalogueError,
)
