"""A sentence encoder made acquainted with a corpus: masked-language training on its texts.

Plain continued pre-training (Gururangan et al., "Don't stop pretraining", ACL 2020,
arXiv:2004.10964), made cheaper by token dropping (:mod:`.dropping`), and with the tokens to mask
chosen by the model's own losses if asked (:mod:`.self_evolution`). The output layer is the word
embeddings' own; only masked tokens are scored.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from synflaw_audit.errors import InputError
from synflaw_audit.text.dropping import (
    Importance,
    consistency,
    dropping,
    embedding_weights,
    encoder_layers,
)
from synflaw_audit.text.self_evolution import IGNORED, masked, smoothed_cross_entropy
from synflaw_audit.text.weights import require_safetensors


@dataclass(frozen=True)
class AdaptConfig:
    """How much is trained, and how.

    Attributes:
        steps: Batches.
        rows: Texts of a batch.
        max_length: Tokens of a text; what is beyond is left out.
        mask: Share of the tokens that are masked.
        drop: Share of the tokens that skip the middle layers, in [0, 1); 0 is plain training.
        interval: Every so many steps the full pass is made as well, and the pass with dropping
            drawn to it; 0 never does.
        self_evolution: Mask the tokens that the model has learned least, and smooth their targets;
            one more pass a step.
        learning_rate: Of AdamW.
        seed: Of the order of the texts and the masks.
    """

    steps: int = 100
    rows: int = 16
    max_length: int = 128
    mask: float = 0.15
    drop: float = 0.5
    interval: int = 10
    self_evolution: bool = False
    learning_rate: float = 5e-5
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.drop < 1:
            raise ValueError(f"drop must lie in [0, 1), not {self.drop}")
        if not 0 < self.mask < 1:
            raise ValueError(f"mask must lie between 0 and 1, not {self.mask}")


@dataclass(frozen=True)
class Adapted:
    """What an adaptation took.

    Attributes:
        folder: Where the encoder was written; a name for ``--embedder``.
        losses: Masked-LM loss of each step, in nats a masked token.
        seconds: Of processor time, in all.
    """

    folder: str
    losses: tuple[float, ...]
    seconds: float


def adapt(
    model: str | Path, texts: Sequence[str], out: str | Path, config: AdaptConfig | None = None
) -> Adapted:
    """Train an encoder on a corpus's texts, and write it as it was packed.

    Args:
        model: A folder in safetensors, of sentence-transformers or transformers; built like BERT.
        texts: Those of the corpus, such as its answers.
        out: The folder to write; must not exist.
        config: How.

    Raises:
        InputError: The model cannot be loaded or is built otherwise, ``out`` is there already, or
            no text has two words.
    """
    config = config or AdaptConfig()
    folder, out = Path(model), Path(out)
    if out.exists():
        raise InputError(f"{out}: is there already; give a folder that is not")
    try:
        require_safetensors(str(folder))
        tokenizer = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False)
        encoder = AutoModel.from_pretrained(str(folder), use_safetensors=True, dtype=torch.float32)
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: cannot be loaded as an encoder: {error}") from error
    begun = time.process_time()
    losses = train(encoder, tokenizer, texts, config)
    shutil.copytree(folder, out)
    encoder.save_pretrained(out)
    return Adapted(str(out), tuple(losses), time.process_time() - begun)


def train(
    encoder: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    config: AdaptConfig,
) -> list[float]:
    """Train an encoder in place, by the settings of :func:`adapt`; gives the loss of each step."""
    rows = [ids for text in texts if len(ids := _encoded(tokenizer, text, config.max_length)) > 3]
    if not rows:
        raise InputError("no text has two words that could be learned from one another")
    torch.manual_seed(config.seed)
    order = random.Random(config.seed)  # noqa: S311 -- an order, not a secret
    learner = _Learner(encoder, tokenizer, config)
    encoder.train(True)
    losses = [learner.step(order.choices(rows, k=config.rows), at) for at in range(config.steps)]
    encoder.train(False)
    return losses


class _Learner:
    """One encoder, its optimiser, and what it has found important so far."""

    def __init__(
        self, encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, config: AdaptConfig
    ) -> None:
        self.encoder, self.tokenizer, self.config = encoder, tokenizer, config
        self.layers = encoder_layers(encoder)
        self.embeddings = embedding_weights(encoder)
        self.bias = nn.Parameter(self.embeddings.new_zeros(len(self.embeddings)))
        self.importance = Importance(len(self.embeddings), encoder.device)
        self.optimizer = torch.optim.AdamW([*encoder.parameters(), self.bias], config.learning_rate)

    def step(self, rows: Sequence[list[int]], number: int) -> float:
        """One batch; its masked-LM loss, in nats a masked token."""
        config = self.config
        ids, mask, special = self._batch(rows)
        inputs, targets, own = self._masks(ids, mask, mask.bool() & ~special)
        places = targets != IGNORED
        wanted = targets[places]
        passes, apart = [], torch.zeros((), device=ids.device)
        if config.drop:
            kept = self.importance.kept(ids, mask, special | places, config.drop)
            with dropping(self.layers, kept, mask):
                passes.append(self._hidden(inputs, mask))
        if not config.drop or (config.interval and number % config.interval == 0):
            passes.append(self._hidden(inputs, mask))
        if len(passes) == 2:
            apart = consistency(passes[0], passes[1], mask)
        scored = [self._logits(hidden[-1][places]) for hidden in passes]
        losses = [
            smoothed_cross_entropy(logits, wanted, own[places])
            if own is not None
            else nn.functional.cross_entropy(logits, wanted, reduction="none")
            for logits in scored
        ]
        self.importance.learn(wanted, losses[0])
        self.optimizer.zero_grad()
        (torch.stack([each.mean() for each in losses]).mean() + apart).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return float(losses[0].detach().mean())

    def _batch(self, rows: Sequence[list[int]]) -> tuple[Tensor, Tensor, Tensor]:
        """Token ids, where they are no padding, and which are special: [rows, tokens] each."""
        width, device = max(map(len, rows)), self.encoder.device
        pad = int(self.tokenizer.pad_token_id or 0)
        ids = torch.tensor([row + [pad] * (width - len(row)) for row in rows], device=device)
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
        special = torch.isin(ids, torch.tensor(self.tokenizer.all_special_ids, device=device))
        return ids, mask.to(device), special

    def _masks(
        self, ids: Tensor, mask: Tensor, maskable: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """The ids with masks, the targets, and the model's own logits of the text as it stands."""
        mask_id, share = int(self.tokenizer.mask_token_id), self.config.mask
        if self.config.self_evolution:
            with torch.no_grad():
                own = self._logits(self._hidden(ids, mask)[-1])
                asked = nn.functional.cross_entropy(own.transpose(1, 2), ids, reduction="none")
            return (*masked(ids, asked, maskable, mask_id, share=share), own)
        # As many of each row, at random; one at least.
        chance = torch.rand(ids.shape, device=ids.device).masked_fill(~maskable, 2.0)
        rank = chance.argsort(dim=1).argsort(dim=1)
        chosen = (rank < (share * maskable.sum(1, keepdim=True)).ceil()) & maskable
        return ids.masked_fill(chosen, mask_id), ids.masked_fill(~chosen, IGNORED), None

    def _hidden(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The hidden states after the middle layers, and after the last."""
        before: list[Tensor] = []

        def look(layer: nn.Module, args: tuple[Tensor, ...]) -> None:
            before.append(args[0])

        handle = self.layers[-1].register_forward_pre_hook(look)
        try:
            last: Tensor = self.encoder(ids, attention_mask=mask).last_hidden_state
        finally:
            handle.remove()
        return before[0], last

    def _logits(self, hidden: Tensor) -> Tensor:
        return hidden @ self.embeddings.T + self.bias


def _encoded(tokenizer: PreTrainedTokenizerBase, text: str, most: int) -> list[int]:
    return list(tokenizer(text, truncation=True, max_length=most)["input_ids"])
