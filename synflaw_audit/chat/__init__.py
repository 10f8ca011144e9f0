"""A question and its answer for a model: as text (``rendering``), as tokens (``encoding``).

``endpoint`` asks a server that speaks OpenAI's protocol.
"""
