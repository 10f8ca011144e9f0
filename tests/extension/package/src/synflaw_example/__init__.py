"""A measure, an embedder and an engine for synflaw-audit."""
