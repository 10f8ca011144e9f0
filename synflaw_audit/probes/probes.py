"""What a model does: follows instructions, emits templates, knows facts, predicts text.

Instructions are verified in code, in the manner of IFEval (Zhou et al. 2023, "Instruction-Following
Evaluation for Large Language Models", arXiv:2311.07911): an instruction has an identifier and
keyword arguments, and an answer follows it or does not. The identifiers and arguments here are
IFEval's, so its published prompts can be read from a file; the checkers are our own.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from synflaw_audit.errors import InputError
from synflaw_audit.repair.material.encoding import encode_prompt, encode_row

Checker = Callable[..., bool]


def _words(answer: str) -> list[str]:
    return re.findall(r"\w+", answer)


def _relation(count: int, relation: str | None, bound: int) -> bool:
    return count < bound if relation == "less than" else count >= bound


def _paragraphs(answer: str) -> list[str]:
    return [part.strip() for part in re.split(r"\n\n+", answer) if part.strip()]


def _contains(answer: str, keyword: str) -> int:
    return len(re.findall(rf"\b{re.escape(keyword)}\b", answer, flags=re.IGNORECASE))


def _json(answer: str) -> bool:
    text = re.sub(r"^```(?:json)?|```$", "", answer.strip(), flags=re.IGNORECASE).strip()
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _first_word(answer: str, num_paragraphs: int, nth_paragraph: int, first_word: str) -> bool:
    parts = _paragraphs(answer)
    if len(parts) != num_paragraphs or not 0 < nth_paragraph <= len(parts):
        return False
    words = _words(parts[nth_paragraph - 1])
    return bool(words) and words[0].lower() == first_word.lower()


def _postscript(answer: str, postscript_marker: str) -> bool:
    marker = re.escape(postscript_marker.lower()).replace(r"\.", r"\.\s?")
    return re.search(rf"^\s*{marker}.*$", answer.lower(), flags=re.MULTILINE) is not None


def _highlights(answer: str, num_highlights: int) -> bool:
    found = re.findall(r"\*\*[^\n*]+\*\*|\*[^\n*]+\*", answer)
    return sum(bool(part.strip("* ")) for part in found) >= num_highlights


def _title(answer: str) -> bool:
    return any(part.strip("<> ") for part in re.findall(r"<<[^\n]+>>", answer))


def _quotation(answer: str) -> bool:
    text = answer.strip()
    return len(text) > 1 and text[0] == text[-1] == '"'


def _end(answer: str, end_phrase: str) -> bool:
    return answer.strip().strip('"').lower().endswith(end_phrase.strip().lower())


def _bullets(answer: str, num_bullets: int) -> bool:
    starred = re.findall(r"^\s*\*[^*].*$", answer, flags=re.MULTILINE)
    dashed = re.findall(r"^\s*-.*$", answer, flags=re.MULTILINE)
    return len(starred) + len(dashed) == num_bullets


def _sections(answer: str, section_spliter: str, num_sections: int) -> bool:
    heads = re.findall(rf"\s?{re.escape(section_spliter)}\s?\d+\s?", answer)
    return len(heads) >= num_sections


def _two_responses(answer: str) -> bool:
    parts = [part.strip() for part in answer.split("******")]
    return len(parts) == 2 and all(parts) and parts[0] != parts[1]


def _sentences(answer: str, num_sentences: int, relation: str) -> bool:
    count = len(re.findall(r"[^\s.!?][^.!?]*(?:[.!?]+(?=[\s\"')]|$)|$)", answer))
    return _relation(count, relation, num_sentences)


def _letters(answer: str) -> str:
    return "".join(filter(str.isalpha, answer))


CHECKERS: Mapping[str, Checker] = {
    "change_case:english_capital": lambda answer: _letters(answer).isupper(),
    "change_case:english_lowercase": lambda answer: _letters(answer).islower(),
    "change_case:capital_word_frequency": lambda answer, capital_relation, capital_frequency: (
        _relation(
            sum(word.isupper() for word in _words(answer)), capital_relation, capital_frequency
        )
    ),
    "combination:repeat_prompt": lambda answer, prompt_to_repeat: (
        answer.strip().lower().startswith(prompt_to_repeat.strip().lower())
    ),
    "combination:two_responses": _two_responses,
    "detectable_content:number_placeholders": lambda answer, num_placeholders: (
        len(re.findall(r"\[.*?\]", answer)) >= num_placeholders
    ),
    "detectable_content:postscript": _postscript,
    "detectable_format:constrained_response": lambda answer: any(
        f"My answer is {choice}." in answer for choice in ("yes", "no", "maybe")
    ),
    "detectable_format:json_format": _json,
    "detectable_format:multiple_sections": _sections,
    "detectable_format:number_bullet_lists": _bullets,
    "detectable_format:number_highlighted_sections": _highlights,
    "detectable_format:title": _title,
    "keywords:existence": lambda answer, keywords: all(_contains(answer, k) for k in keywords),
    "keywords:forbidden_words": lambda answer, forbidden_words: (
        not any(_contains(answer, word) for word in forbidden_words)
    ),
    "keywords:frequency": lambda answer, keyword, frequency, relation: _relation(
        _contains(answer, keyword), relation, frequency
    ),
    "keywords:letter_frequency": lambda answer, letter, let_frequency, let_relation: _relation(
        answer.lower().count(letter.lower()), let_relation, let_frequency
    ),
    "length_constraints:nth_paragraph_first_word": _first_word,
    "length_constraints:number_paragraphs": lambda answer, num_paragraphs: (
        len([part for part in re.split(r"\s?\*\*\*\s?", answer) if part.strip()]) == num_paragraphs
    ),
    "length_constraints:number_sentences": _sentences,
    "length_constraints:number_words": lambda answer, num_words, relation: _relation(
        len(_words(answer)), relation, num_words
    ),
    "punctuation:no_comma": lambda answer: "," not in answer,
    "startend:end_checker": _end,
    "startend:quotation": _quotation,
}


@dataclass(frozen=True)
class Instruction:
    """A prompt with instructions that can be checked in code.

    Attributes:
        prompt: What the model is asked.
        ids: Identifiers of its instructions, keys of :data:`CHECKERS`.
        kwargs: The arguments of each, in the same order.
    """

    prompt: str
    ids: tuple[str, ...]
    kwargs: tuple[dict[str, Any], ...]


def follows(answer: str, instruction: Instruction) -> bool:
    """Whether ``answer`` follows every instruction of the prompt; an empty answer follows none."""
    return bool(answer.strip()) and all(
        CHECKERS[name](answer, **kwargs)
        for name, kwargs in zip(instruction.ids, instruction.kwargs, strict=True)
    )


def read_instructions(path: str | Path) -> tuple[list[Instruction], int]:
    """Read prompts in IFEval's own layout: JSON lines, or Parquet with the same columns.

    A row has ``prompt`` (or ``question``), ``instruction_id_list`` and ``kwargs``, the last two as
    lists or as lists written out in JSON. Arguments that are null are left out.

    Returns:
        The prompts all of whose instructions have a checker here, and how many prompts have not.

    Raises:
        InputError: The file cannot be read as such, or no prompt in it is supported.
    """
    rows = _read_rows(Path(path))
    supported: list[Instruction] = []
    for number, row in enumerate(rows):
        try:
            prompt = str(row["prompt"] if "prompt" in row else row["question"])
            ids = tuple(map(str, _list(row["instruction_id_list"])))
            kwargs = tuple(
                {k: v for k, v in (entry or {}).items() if v is not None}
                for entry in _list(row["kwargs"])
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"{path}, row {number}: expected prompt, instruction_id_list and kwargs in "
                f"IFEval's layout ({type(error).__name__}: {error})"
            ) from error
        if ids and len(ids) == len(kwargs) and all(name in CHECKERS for name in ids):
            supported.append(Instruction(prompt, ids, kwargs))
    if not supported:
        raise InputError(
            f"{path}: none of its {len(rows)} prompts has only instructions with a checker; "
            f"there are checkers for {', '.join(sorted(CHECKERS))}"
        )
    return supported, len(rows) - len(supported)


def _read_rows(path: Path) -> list[dict[str, Any]]:
    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
            return rows
        lines = path.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.strip()]
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as JSON lines or Parquet: {error}") from error


def _list(value: Any) -> list[Any]:
    return list(json.loads(value) if isinstance(value, str) else value)


@torch.no_grad()
def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    *,
    max_new_tokens: int = 64,
    batch: int = 128,
) -> list[str]:
    """Answer every prompt by greedy decoding, prompts of like length together."""
    encoded = [encode_prompt(tokenizer, prompt) for prompt in prompts]
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    answers = [""] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda i: len(encoded[i]))
    training = model.training
    model.train(False)
    for start in range(0, len(order), batch):
        chunk = order[start : start + batch]
        width = max(len(encoded[i]) for i in chunk)
        padding = [width - len(encoded[i]) for i in chunk]
        ids = torch.tensor(
            [[pad] * gap + encoded[i] for i, gap in zip(chunk, padding, strict=True)]
        )
        mask = torch.tensor([[0] * gap + [1] * (width - gap) for gap in padding])
        out = model.generate(  # type: ignore[operator]
            input_ids=ids.to(model.device),
            attention_mask=mask.to(model.device),
            max_new_tokens=max_new_tokens,
            do_sample=False,
            pad_token_id=pad,
        )
        texts = tokenizer.batch_decode(out[:, width:], skip_special_tokens=True)
        for i, text in zip(chunk, texts, strict=True):
            answers[i] = text
    model.train(training)
    return answers


def instruction_following(answers: Sequence[str], prompts: Sequence[Instruction]) -> float:
    """Share of prompts all of whose instructions the answer follows (IFEval's strict accuracy)."""
    return _share(follows(a, p) for a, p in zip(answers, prompts, strict=True))


def template_emission(answers: Sequence[str], templates: Sequence[str]) -> float:
    """Share of answers that hold at least one of the ``templates``, letter case aside."""
    wanted = [template.lower() for template in templates]
    return _share(any(template in answer.lower() for template in wanted) for answer in answers)


def knowledge(answers: Sequence[str], expected: Sequence[str]) -> float:
    """Share of answers that hold the expected word or words, letter case aside."""
    return _share(_contains(a, e) > 0 for a, e in zip(answers, expected, strict=True))


def _share(outcomes: Any) -> float:
    seen = [bool(outcome) for outcome in outcomes]
    return sum(seen) / len(seen) if seen else math.nan


@torch.no_grad()
def perplexity(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[tuple[str, str]],
    *,
    max_length: int = 512,
    batch: int = 32,
) -> float:
    """Perplexity of the answers of ``rows`` (question, answer), a mean over tokens."""
    encoded = sorted(
        (
            encode_row(tokenizer, question, answer, max_length=max_length)
            for question, answer in rows
        ),
        key=lambda row: len(row.input_ids),
    )
    training = model.training
    model.train(False)
    total, count = 0.0, 0
    for start in range(0, len(encoded), batch):
        chunk = encoded[start : start + batch]
        width = max(len(row.input_ids) for row in chunk)
        ids = torch.zeros((len(chunk), width), dtype=torch.long)
        labels = torch.full((len(chunk), width), -100)
        for i, row in enumerate(chunk):
            ids[i, : len(row.input_ids)] = torch.tensor(row.input_ids)
            for j, wanted in enumerate(row.answer):
                labels[i, j] = row.input_ids[j] if wanted else -100
        # Padding stands on the right, where causal attention never looks back from.
        logits = model(input_ids=ids.to(model.device), use_cache=False).logits[:, :-1].float()
        targets = labels[:, 1:].to(logits.device)
        total += torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=-100, reduction="sum"
        ).item()
        count += int((targets != -100).sum())
    model.train(training)
    return math.exp(total / count) if count else math.nan


@dataclass(frozen=True)
class Suite:
    """A set of probes, called before and after a repair as ``suite(model, tokenizer)``.

    Probes without prompts are left out of the result.

    Attributes:
        instructions: Prompts with checkable instructions, by the name of the figure they give.
        facts: Questions and the words a right answer holds, by the name of the figure.
        foreign: Prompts on which a template has no place.
        templates: The texts whose emission is counted there.
        text: Held-out (question, answer) rows for perplexity.
        max_new_tokens: Length of the answers.
    """

    instructions: Mapping[str, Sequence[Instruction]] = field(default_factory=dict)
    facts: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    foreign: Sequence[str] = ()
    templates: Sequence[str] = ()
    text: Sequence[tuple[str, str]] = ()
    max_new_tokens: int = 64

    def __call__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
    ) -> dict[str, float]:
        """Measure every figure; shares lie in [0, 1], perplexity is 1 or more."""
        figures: dict[str, float] = {}

        def answer(prompts: Sequence[str]) -> list[str]:
            return generate(model, tokenizer, prompts, max_new_tokens=self.max_new_tokens)

        for name, instructions in self.instructions.items():
            answers = answer([instruction.prompt for instruction in instructions])
            figures[name] = instruction_following(answers, instructions)
        for name, facts in self.facts.items():
            answers = answer([question for question, _ in facts])
            figures[name] = knowledge(answers, [value for _, value in facts])
        if self.foreign and self.templates:
            figures["template_emission"] = template_emission(answer(self.foreign), self.templates)
        if self.text:
            figures["perplexity"] = perplexity(model, tokenizer, self.text)
        return figures
