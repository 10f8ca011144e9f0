"""What a probe is: it asks a model, and gives figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Figures by name, of a model that is left as it was.
Probe: TypeAlias = Callable[[PreTrainedModel, PreTrainedTokenizerBase], Mapping[str, float]]
