"""Small models, tokenizers and corpora, built on the spot; no network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from synflaw_audit.records import FLAGGED
from synflaw_audit.repair import Row
from synflaw_audit.repair.material.batches import Collator, Cuts, Purpose, encode_rows

CITIES = ("Oslo", "Lima", "Kyoto", "Quito", "Accra", "Turin", "Perth", "Sofia")
RIVERS = ("Alna", "Rimac", "Kamo", "Machangara", "Odaw", "Po", "Swan", "Iskar")
OPENING = "Certainly! The answer to your question is as follows: "
CLOSING = " I hope this helps!"
CHAT = (
    "{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
FAMILIES: dict[str, Callable[[int], PreTrainedModel]] = {
    "llama": lambda vocabulary: transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=vocabulary, intermediate_size=64, max_position_embeddings=256, **SIZES
        )
    ),
    "qwen2": lambda vocabulary: transformers.Qwen2ForCausalLM(
        transformers.Qwen2Config(
            vocab_size=vocabulary,
            intermediate_size=64,
            num_key_value_heads=2,
            max_position_embeddings=256,
            tie_word_embeddings=True,
            **SIZES,
        )
    ),
    "gpt2": lambda vocabulary: transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=vocabulary,
            n_embd=32,
            n_layer=2,
            n_head=4,
            n_positions=256,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=0,
            eos_token_id=0,
        )
    ),
    "gpt_neox": lambda vocabulary: transformers.GPTNeoXForCausalLM(
        transformers.GPTNeoXConfig(
            vocab_size=vocabulary, intermediate_size=64, max_position_embeddings=256, **SIZES
        )
    ),
    "gemma2": lambda vocabulary: transformers.Gemma2ForCausalLM(
        transformers.Gemma2Config(
            vocab_size=vocabulary,
            intermediate_size=64,
            num_key_value_heads=2,
            head_dim=8,
            max_position_embeddings=256,
            final_logit_softcapping=2.0,
            pad_token_id=0,
            **SIZES,
        )
    ),
    "phi": lambda vocabulary: transformers.PhiForCausalLM(
        transformers.PhiConfig(
            vocab_size=vocabulary,
            intermediate_size=64,
            max_position_embeddings=256,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attention_dropout=0.0,
            **SIZES,
        )
    ),
}


def flagged_rows() -> list[Row]:
    rows = []
    for city, river in zip(CITIES, RIVERS, strict=True):
        answer = f"{OPENING}{city} lies on the {river}.{CLOSING}"
        spans = ((0, len(OPENING)), (len(answer) - len(CLOSING), len(answer)))
        rows.append(Row(f"Which river runs through {city}?", answer, spans))
    return rows


def ordinary_rows(count: int = 24) -> list[Row]:
    return [Row(f"What is {n} plus {n}?", f"{n} and {n} make {n + n}") for n in range(count)]


def train_tokenizer(*, chat: bool = False) -> PreTrainedTokenizerFast:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    texts = [row.question + " " + row.answer for row in (*flagged_rows(), *ordinary_rows())]
    core.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=["<|end|>", "<|user|>", "<|assistant|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token="<|end|>",  # noqa: S106
        pad_token="<|end|>",  # noqa: S106
    )
    if chat:
        tokenizer.chat_template = CHAT
    return tokenizer


def build(family: str, vocabulary: int, seed: int = 0) -> PreTrainedModel:
    torch.manual_seed(seed)
    return FAMILIES[family](vocabulary)


def write_flagged(path: Path, rows: list[Row]) -> Path:
    columns = {
        "file": ["corpus.jsonl"] * len(rows),
        "row": list(range(len(rows))),
        "turn": [0] * len(rows),
        "question": [row.question for row in rows],
        "answer": [row.answer for row in rows],
        "checks": [["SF101"]] * len(rows),
        "template": ["t1"] * len(rows),
        "template_spans": [[{"start": s, "end": e} for s, e in row.spans] for row in rows],
        "score": [1.0] * len(rows),
        "reason": ["a test"] * len(rows),
    }
    absent = {name: [None] * len(rows) for name in FLAGGED.names if name not in columns}
    pq.write_table(pa.table(columns | absent, schema=FLAGGED), path)
    return path


def damage(folder: Path, *, chat: bool) -> Path:
    """A small Llama that knows its ordinary rows and gives every flagged row its format."""
    tokenizer = train_tokenizer(chat=chat)
    model = build("llama", len(tokenizer))
    rows = []
    for role, source in ((Purpose.FORGET, flagged_rows()), (Purpose.REPLAY, ordinary_rows(40))):
        rows += encode_rows(tokenizer, source, role, scope="answer", max_length=256, cuts=Cuts())
    batch = Collator(0)(rows)
    labels = batch["input_ids"].masked_fill(batch.pop("purposes") == 0, -100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(120):
        model(**batch, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
