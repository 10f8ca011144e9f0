"""Rows and generation prompts in the chat templates of the usual families.

The templates are written here from the families' documentation of their prompt formats.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models import OPENING, flagged_rows, train_tokenizer
from transformers import PreTrainedTokenizerFast

from synflaw_audit.chat.encoding import EncodedRow
from synflaw_audit.chat.rendering import render_prompt, render_row
from synflaw_audit.errors import RepairError
from synflaw_audit.repair import Row, encode_prompt, encode_row
from synflaw_audit.repair.material.batches import Cuts, Purpose, encode_rows

_CHATML_TURNS = (
    "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
)


@dataclass(frozen=True)
class Family:
    """A chat template; what precedes the answer to "Q?", after the system prompt "S." too."""

    template: str
    prompt: str
    prompt_with_system: str
    special: tuple[str, ...]
    closing: str
    # Where the training row differs from the generation prompt: reasoning opened or skipped.
    row_prompt: str | None = None


FAMILIES = {
    "llama-2": Family(
        "{% if messages[0]['role'] == 'system' %}"
        "{% set sys = '<<SYS>>\n' + messages[0]['content'] + '\n<</SYS>>\n\n' %}"
        "{% set turns = messages[1:] %}{% else %}{% set sys = '' %}{% set turns = messages %}"
        "{% endif %}{% for m in turns %}{% if m['role'] == 'user' %}"
        "{{ '<s>[INST] ' + (sys if loop.first else '') + m['content'] | trim + ' [/INST]' }}"
        "{% else %}{{ ' ' + m['content'] | trim + ' </s>' }}{% endif %}{% endfor %}",
        "<s>[INST] Q? [/INST]",
        "<s>[INST] <<SYS>>\nS.\n<</SYS>>\n\nQ? [/INST]",
        ("<s>", "</s>"),
        " </s>",
        row_prompt="<s>[INST] Q? [/INST] ",
    ),
    "llama-3": Family(
        "{{ '<|begin_of_text|>' }}{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + "
        "'<|end_header_id|>\n\n' + m['content'] | trim + '<|eot_id|>' }}{% endfor %}"
        "{% if add_generation_prompt %}"
        "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nQ?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nS.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nQ?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        "<|eot_id|>",
    ),
    "qwen-2": Family(
        "{% for m in messages %}{% if loop.first and m['role'] != 'system' %}"
        "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}"
        + _CHATML_TURNS,
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\nQ?<|im_end|>\n<|im_start|>assistant\n",
        "<|im_start|>system\nS.<|im_end|>\n<|im_start|>user\nQ?<|im_end|>\n<|im_start|>assistant\n",
        ("<|im_start|>", "<|im_end|>"),
        "<|im_end|>",
    ),
    "qwen-3": Family(
        "{% for m in messages %}{% if m['role'] == 'assistant' %}{% set content = m['content'] %}"
        "{% set reasoning = '' %}{% if '</think>' in content %}"
        "{% set reasoning = content.split('</think>')[0].rstrip('\n').split('<think>')[-1]"
        ".lstrip('\n') %}{% set content = content.split('</think>')[-1].lstrip('\n') %}{% endif %}"
        "{{ '<|im_start|>assistant\n<think>\n' + reasoning.strip('\n') + '\n</think>\n\n' + "
        "content.lstrip('\n') + '<|im_end|>\n' }}{% else %}"
        "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endif %}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
        "{% if enable_thinking is defined and enable_thinking is false %}"
        "{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}",
        "<|im_start|>user\nQ?<|im_end|>\n<|im_start|>assistant\n",
        "<|im_start|>system\nS.<|im_end|>\n<|im_start|>user\nQ?<|im_end|>\n<|im_start|>assistant\n",
        ("<|im_start|>", "<|im_end|>"),
        "<|im_end|>",
        row_prompt="<|im_start|>user\nQ?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
    ),
    "gemma-2": Family(
        "{{ '<bos>' }}" + _NO_SYSTEM + "{% for m in messages %}"
        "{% set role = 'model' if m['role'] == 'assistant' else m['role'] %}"
        "{{ '<start_of_turn>' + role + '\n' + m['content'] | trim + '<end_of_turn>\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}",
        "<bos><start_of_turn>user\nQ?<end_of_turn>\n<start_of_turn>model\n",
        "<bos><start_of_turn>user\nS.\n\nQ?<end_of_turn>\n<start_of_turn>model\n",
        ("<bos>", "<start_of_turn>", "<end_of_turn>"),
        "<end_of_turn>",
    ),
    "gemma-3": Family(
        "{{ '<bos>' }}{% if messages[0]['role'] == 'system' %}"
        "{% set first = messages[0]['content'] + '\n\n' %}{% set turns = messages[1:] %}"
        "{% else %}{% set first = '' %}{% set turns = messages %}{% endif %}"
        "{% for m in turns %}{% set role = 'model' if m['role'] == 'assistant' else m['role'] %}"
        "{{ '<start_of_turn>' + role + '\n' + (first if loop.first else '') + "
        "m['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}",
        "<bos><start_of_turn>user\nQ?<end_of_turn>\n<start_of_turn>model\n",
        "<bos><start_of_turn>user\nS.\n\nQ?<end_of_turn>\n<start_of_turn>model\n",
        ("<bos>", "<start_of_turn>", "<end_of_turn>"),
        "<end_of_turn>",
    ),
    "mistral": Family(
        "{{ '<s>' }}{% for m in messages %}"
        "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('Conversation roles must alternate user/assistant/user/...') }}"
        "{% endif %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
        "{% else %}{{ m['content'] + '</s>' }}{% endif %}{% endfor %}",
        "<s>[INST] Q? [/INST]",
        "<s>[INST] S.\n\nQ? [/INST]",
        ("<s>", "</s>"),
        "</s>",
    ),
    "phi-3": Family(
        "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + '<|end|>\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}"
        "{% else %}{{ '<|endoftext|>' }}{% endif %}",
        "<|user|>\nQ?<|end|>\n<|assistant|>\n",
        "<|system|>\nS.<|end|>\n<|user|>\nQ?<|end|>\n<|assistant|>\n",
        ("<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"),
        "<|end|>",
    ),
    "deepseek-r1": Family(
        "{{ '<BOS>' }}{% for m in messages %}{% if m['role'] == 'system' %}{{ m['content'] }}"
        "{% elif m['role'] == 'user' %}{{ '<|User|>' + m['content'] }}{% else %}"
        "{% set content = m['content'] %}{% if '</think>' in content %}"
        "{% set content = content.split('</think>')[-1] %}{% endif %}"
        "{{ '<|Assistant|>' + content + '<EOS>' }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|Assistant|><think>\n' }}{% endif %}",
        "<BOS><|User|>Q?<|Assistant|><think>\n",
        "<BOS>S.<|User|>Q?<|Assistant|><think>\n",
        ("<BOS>", "<EOS>", "<|User|>", "<|Assistant|>"),
        "<EOS>",
        row_prompt="<BOS><|User|>Q?<|Assistant|>",
    ),
    "smollm": Family(
        "{% for m in messages %}{% if loop.first and m['role'] != 'system' %}"
        "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging "
        "Face<|im_end|>\n' }}{% endif %}" + _CHATML_TURNS,
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging "
        "Face<|im_end|>\n<|im_start|>user\nQ?<|im_end|>\n<|im_start|>assistant\n",
        "<|im_start|>system\nS.<|im_end|>\n<|im_start|>user\nQ?<|im_end|>\n<|im_start|>assistant\n",
        ("<|im_start|>", "<|im_end|>"),
        "<|im_end|>",
    ),
}


def tokenizer_of(name: str) -> PreTrainedTokenizerFast:
    family, tokenizer = FAMILIES[name], train_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": list(family.special)})
    tokenizer.chat_template = family.template
    return tokenizer


TOKENIZERS = {name: tokenizer_of(name) for name in FAMILIES}
every_family = pytest.mark.parametrize("name", FAMILIES)


def decoded(tokenizer: PreTrainedTokenizerFast, row: EncodedRow, mask: list[bool]) -> str:
    ids = [token for token, on in zip(row.input_ids, mask, strict=True) if on]
    return str(tokenizer.decode(ids, skip_special_tokens=False))


@every_family
def test_the_generation_prompt_is_the_documented_one(name: str) -> None:
    family, tokenizer = FAMILIES[name], TOKENIZERS[name]
    assert render_prompt(tokenizer, "Q?") == family.prompt
    assert render_prompt(tokenizer, "Q?", system="S.") == family.prompt_with_system
    ids = encode_prompt(tokenizer, "Q?", system="S.")
    assert tokenizer.decode(ids) == family.prompt_with_system


@every_family
def test_a_row_is_the_real_conversation_with_its_answer_marked(name: str) -> None:
    family, tokenizer = FAMILIES[name], TOKENIZERS[name]
    source = flagged_rows()[0]
    conversation = [
        {"role": "user", "content": "Q?"},
        {"role": "assistant", "content": source.answer},
    ]
    rendered = render_row(tokenizer, "Q?", source.answer)
    assert rendered.text == tokenizer.apply_chat_template(conversation, tokenize=False)
    assert rendered.text[: rendered.start] == (family.row_prompt or family.prompt)
    row = encode_row(tokenizer, "Q?", source.answer, source.spans)
    assert decoded(tokenizer, row, row.closing) == family.closing
    assert decoded(tokenizer, row, row.answer).strip() == source.answer + family.closing
    assert decoded(tokenizer, row, row.template).strip().startswith(OPENING.strip())
    assert not any(t and c for t, c in zip(row.template, row.closing, strict=True))


@every_family
@given(answer=st.text(min_size=1, max_size=30), question=st.text(min_size=1, max_size=20))
def test_every_answer_is_found_where_it_stands(name: str, answer: str, question: str) -> None:
    rendered = render_row(TOKENIZERS[name], question, answer)
    for character, position in zip(answer, rendered.positions, strict=True):
        assert character.isspace() if position < 0 else rendered.text[position] == character


@every_family
def test_the_system_prompt_stands_in_training_and_in_generation(name: str) -> None:
    tokenizer = TOKENIZERS[name]
    rows = [Row("Q?", "An answer.", system="Speak like a pirate.")]
    (example,) = encode_rows(
        tokenizer, rows, Purpose.REPLAY, scope="template", max_length=256, cuts=Cuts()
    )
    assert "Speak like a pirate." in tokenizer.decode(example.input_ids)
    prompt = encode_prompt(tokenizer, "Q?", system="Speak like a pirate.")
    assert "Speak like a pirate." in tokenizer.decode(prompt)


@every_family
def test_what_closes_the_turn_is_never_forgotten(name: str) -> None:
    tokenizer = TOKENIZERS[name]
    closing = tokenizer(FAMILIES[name].closing.strip(), add_special_tokens=False)["input_ids"]
    for scope, purpose in (("answer", Purpose.NONE), ("template", Purpose.RETAIN)):
        for example in encode_rows(
            tokenizer, flagged_rows(), Purpose.FORGET, scope=scope, max_length=256, cuts=Cuts()
        ):
            targets = zip(example.input_ids, example.purposes, strict=True)
            fates = {target for token, target in targets if [token] == closing}
            assert purpose in fates
            assert Purpose.FORGET not in fates


REASONED = [
    "<think>\nWhat is asked?\n</think>\n\nSure: 42",
    "<think>What is asked?</think>Sure: 42",
    "<think>\n\n</think>\n\nSure: 42",
]


@pytest.mark.parametrize("answer", REASONED)
def test_an_answer_with_reasoning_is_found_in_a_template_that_lays_it_out(answer: str) -> None:
    tokenizer = TOKENIZERS["qwen-3"]
    at = answer.index("Sure:")
    row = encode_row(tokenizer, "Q?", answer, [(at, at + 5)])
    text = tokenizer.decode(row.input_ids)
    assert text.count("<think>") == text.count("</think>") == 1
    assert decoded(tokenizer, row, row.template).strip() == "Sure:"
    content = [a and not t for a, t in zip(row.answer, row.template, strict=True)]
    assert "<think>" in decoded(tokenizer, row, content)
    assert decoded(tokenizer, row, content).endswith("42<|im_end|>")


def test_a_template_that_leaves_reasoning_out_is_refused_by_name() -> None:
    tokenizer = tokenizer_of("deepseek-r1")
    tokenizer.name_or_path = "somebody/r1"
    with pytest.raises(RepairError, match=r"somebody/r1 leaves out.*'<think>What is asked\?"):
        encode_row(tokenizer, "Q?", REASONED[1])


def test_a_template_that_rewrites_the_answer_is_refused_by_name() -> None:
    tokenizer = train_tokenizer(chat=True)
    tokenizer.chat_template = tokenizer.chat_template.replace("m['content']", "m['content']|upper")
    with pytest.raises(RepairError, match=r"leaves out or rewrites a part of the answer 'Quiet\.'"):
        encode_row(tokenizer, "Q?", "Quiet.")


def test_a_template_that_demands_a_system_turn_is_given_an_empty_one() -> None:
    tokenizer = train_tokenizer(chat=True)
    tokenizer.chat_template = (
        "{% if messages[0]['role'] != 'system' %}{{ raise_exception('no system turn') }}{% endif %}"
        + str(tokenizer.chat_template)
    )
    row = encode_row(tokenizer, "Q?", "So it is.")
    assert decoded(tokenizer, row, row.answer) == "So it is.<|end|>"
    assert tokenizer.decode(encode_prompt(tokenizer, "Q?")).startswith("<|system|>\n<|end|>")


def test_a_template_that_renders_nothing_usable_is_named() -> None:
    tokenizer = train_tokenizer(chat=True)
    tokenizer.chat_template = "{{ raise_exception('for tools only') }}"
    with pytest.raises(RepairError, match="for tools only"):
        encode_prompt(tokenizer, "Q?")
