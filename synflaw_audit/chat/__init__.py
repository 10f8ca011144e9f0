"""A question and its answer for a model: as text (``rendering``), as tokens (``encoding``)."""
