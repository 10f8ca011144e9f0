import json
import math
from pathlib import Path

import pytest
import torch

from synflaw_audit.chat.encoding import encode_row
from synflaw_audit.errors import InputError
from synflaw_audit.lab.tiny import Size, new_model, train_tokenizer
from synflaw_audit.probes.checkers import CHECKERS
from synflaw_audit.probes.generation import generate
from synflaw_audit.probes.instructions import (
    Instruction,
    follows,
    instruction_following,
    read_instructions,
)
from synflaw_audit.probes.perplexity import perplexity, text_losses
from synflaw_audit.probes.suite import Suite, knowledge, template_emission

CASES = [
    ("change_case:english_capital", {}, "ALL CAPITALS, 3 OF THEM.", "Not all CAPITALS."),
    ("change_case:english_lowercase", {}, "all lower.", "One Capital."),
    (
        "change_case:capital_word_frequency",
        {"capital_relation": "at least", "capital_frequency": 2},
        "A GOOD try",
        "a GOOD try",
    ),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Who?"}, "Who? Ada.", "Ada. Who?"),
    ("combination:two_responses", {}, "One.\n******\nTwo.", "One.\n******\nOne."),
    ("detectable_format:constrained_response", {}, "My answer is maybe.", "Maybe."),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "Part", "num_sections": 2},
        "Part 1\na\nPart 2\nb",
        "Part 1\na",
    ),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 3, "relation": "less than"},
        "It cost 3.50 then. Really?",
        "One. Two! Three",
    ),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[a] and [b]", "[a] only"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Yes.\nP.S. No.", "Yes. No."),
    ("detectable_format:json_format", {}, '```json\n{"a": 1}\n```', "{a: 1}"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n- b", "* a\n- b\n- c"),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 1}, "so *very* so", "so"),
    ("detectable_format:title", {}, "<<A title>> text", "<< >> text"),
    ("keywords:existence", {"keywords": ["lute", "harp"]}, "Harp or lute", "lutes or harps"),
    ("keywords:forbidden_words", {"forbidden_words": ["lute"]}, "lutes", "a Lute"),
    (
        "keywords:frequency",
        {"keyword": "a", "frequency": 2, "relation": "less than"},
        "a b",
        "a b a",
    ),
    (
        "keywords:letter_frequency",
        {"letter": "q", "let_frequency": 1, "let_relation": "at least"},
        "Quick",
        "fast",
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "so"},
        "One.\n\nSo, two.",
        "So one.\n\nTwo.",
    ),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n***\nb", "a\n\nb"),
    (
        "length_constraints:number_words",
        {"num_words": 2, "relation": "less than"},
        "lute.",
        "a lute",
    ),
    ("punctuation:no_comma", {}, "a b", "a, b"),
    ("startend:end_checker", {"end_phrase": "The end."}, 'So. "The end."', "The end. Or not"),
    ("startend:quotation", {}, ' "quoted" ', '"quoted" or not'),
    ("content:digits", {}, "In 3 days", "In three days"),
    ("content:no_digits", {}, "In three days", "In 3 days"),
    ("content:number_alone", {}, " 7. ", "7 of 10"),
    ("content:one_of", {"choices": ["yes", "no"]}, "Yes.", "Yes, I do."),
    ("layout:comma_list", {"items": 3}, "a, b, c", "I like a, b, c\nand d"),
    ("layout:numbered_list", {"items": 2}, "So:\n1. a\n2) b", "1. a\n2. b\n3. c"),
    ("layout:one_line", {}, " a b ", "a\nb"),
    ("layout:parts", {"parts": ["<b>", " - ", "."]}, "<b>one - two.", "<b> - two."),
    ("layout:spelled", {}, "L u t e", "L ute"),
    ("layout:table", {"columns": 2}, "|a|b|\n|-|:-:|\n|1|2|", "|a|b|\n|1|2|\n|3|4|"),
    ("length:words", {"count": 1}, "Bread!", "My bread"),
    ("startend:opening", {"opening": "Well"}, '"Well, so', "Wellington boots"),
    ("startend:question_mark", {}, "Is it? ", "Is it? Yes."),
]


@pytest.mark.parametrize(("name", "kwargs", "good", "bad"), CASES, ids=[c[0] for c in CASES])
def test_a_checker_tells_following_from_not_following(name, kwargs, good, bad) -> None:
    prompt = Instruction("", (name,), (kwargs,))
    assert follows(good, prompt)
    assert not follows(bad, prompt)
    assert not follows("  ", prompt)


@pytest.mark.parametrize(
    ("parts", "answer", "wanted"),
    [
        (["", "..."], "So it goes...", True),
        (["", "..."], "...", False),
        (["", " -> ", ""], "one -> two", True),
        (["", " -> ", ""], "one ->", False),
        (["ab", "ba"], "aba", False),
        ([".*", ""], "anything", False),
    ],
)
def test_parts_are_taken_as_they_are_and_need_words_between_them(parts, answer, wanted) -> None:
    assert follows(answer, Instruction("", ("layout:parts",), ({"parts": parts},))) is wanted


def test_every_checker_has_a_case() -> None:
    assert {case[0] for case in CASES} == set(CHECKERS)


def test_all_instructions_of_a_prompt_must_be_followed() -> None:
    ids = ("punctuation:no_comma", "change_case:english_lowercase")
    prompt = Instruction("", ids, ({}, {}))
    assert instruction_following(["a b", "A b", "a, b"], [prompt] * 3) == pytest.approx(1 / 3)


def test_shares_of_answers() -> None:
    assert template_emission(["I HOPE this", "no"], ["i hope"]) == 0.5
    assert knowledge(["the Lute.", "lutes"], ["lute", "lute"]) == 0.5
    assert math.isnan(knowledge([], []))


class TestReadInstructions:
    def row(self, **changes: object) -> dict[str, object]:
        row: dict[str, object] = {
            "key": 1,
            "prompt": "No commas.",
            "instruction_id_list": ["punctuation:no_comma"],
            "kwargs": [{"num_words": None}],
        }
        return row | changes

    def write(self, path: Path, *rows: dict[str, object]) -> Path:
        path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
        return path

    def test_reads_what_it_can_check_and_counts_the_rest(self, tmp_path: Path) -> None:
        other = self.row(instruction_id_list=["language:response_language"])
        read, left_out = read_instructions(self.write(tmp_path / "a.jsonl", self.row(), other))
        assert read == [Instruction("No commas.", ("punctuation:no_comma",), ({},))]
        assert left_out == 1

    def test_reads_lists_written_out_as_json(self, tmp_path: Path) -> None:
        row = self.row(instruction_id_list='["punctuation:no_comma"]', kwargs="[{}]")
        assert len(read_instructions(self.write(tmp_path / "a.jsonl", row))[0]) == 1

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"kwargs": 3}, "row 0"),
            ({"kwargs": "["}, "row 0"),
            ({"instruction_id_list": ["x:y"]}, "punctuation:no_comma"),
        ],
    )
    def test_says_what_is_wrong(self, tmp_path: Path, change, named: str) -> None:
        path = self.write(tmp_path / "a.jsonl", self.row(**change))
        with pytest.raises(InputError, match=named):
            read_instructions(path)

    def test_names_a_file_that_cannot_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "a.jsonl").write_text("not json")
        for name in ("a.jsonl", "missing.jsonl"):
            with pytest.raises(InputError, match=name):
                read_instructions(tmp_path / name)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["what is it", "it is a lute", "a harp or a lute"], 300)


@pytest.fixture(scope="module")
def model(tokenizer):
    return new_model(tokenizer, Size(width=32, layers=1, heads=2), seed=0).eval()


def test_perplexity_of_an_ignorant_model_is_the_size_of_its_vocabulary(model, tokenizer) -> None:
    with torch.no_grad():
        flat = new_model(tokenizer, Size(width=32, layers=1, heads=2), seed=0)
        flat.lm_head.weight.zero_()
    rows = [("what is it", "a lute"), ("what", "it is a harp or a lute")]
    assert perplexity(flat, tokenizer, rows) == pytest.approx(len(tokenizer), rel=1e-4)


def test_perplexity_does_not_depend_on_the_batch(model, tokenizer) -> None:
    rows = [("what is it", "a lute"), ("what", "it is a harp or a lute"), ("it", "a")]
    alone = perplexity(model, tokenizer, rows, batch=1)
    assert perplexity(model, tokenizer, rows, batch=3) == pytest.approx(alone, rel=1e-5)


def test_perplexity_is_that_of_the_answers_tokens(model, tokenizer) -> None:
    row = encode_row(tokenizer, "what is it", "a lute")
    with torch.no_grad():
        scores = model(torch.tensor([row.input_ids])).logits[0].log_softmax(-1)
    losses = [
        -scores[i - 1, token].item()
        for i, (token, wanted) in enumerate(zip(row.input_ids, row.answer, strict=True))
        if wanted
    ]
    expected = math.exp(sum(losses) / len(losses))
    measured = perplexity(model, tokenizer, [("what is it", "a lute")])
    assert measured == pytest.approx(expected, rel=1e-5)


def test_the_loss_on_a_text_is_the_logarithm_of_its_perplexity(model, tokenizer) -> None:
    texts = ["what is it", "it is a harp or a lute"]
    model.train()
    losses = text_losses(model, tokenizer, texts)
    assert model.training
    model.eval()
    for text, loss in zip(texts, losses, strict=True):
        assert loss == pytest.approx(math.log(perplexity(model, tokenizer, [("", text)])), rel=1e-4)


def test_answers_do_not_depend_on_the_company_they_are_generated_in(model, tokenizer) -> None:
    prompts = ["what is it", "it", "is it a lute or a harp"]
    together = generate(model, tokenizer, prompts, max_new_tokens=8)
    assert together == [generate(model, tokenizer, [p], max_new_tokens=8)[0] for p in prompts]


def test_generating_leaves_the_model_in_its_mode(model, tokenizer) -> None:
    model.train()
    generate(model, tokenizer, ["it"], max_new_tokens=2)
    perplexity(model, tokenizer, [("it", "is")])
    assert model.training
    model.eval()


def test_the_output_layer_is_given_no_gaps_while_answers_are_made(model, tokenizer) -> None:
    """Frozen weights would be copied for every row of a view with gaps."""
    model = model.requires_grad_(False)
    head, seen = model.get_output_embeddings(), []
    handle = head.register_forward_hook(lambda _, args, out: seen.append(args[0].is_contiguous()))
    try:
        prompts = ["the lute", "the harp and the drum"]
        with torch.no_grad():
            answers = generate(model, tokenizer, prompts, max_new_tokens=3)
        model(torch.ones(2, 4, dtype=torch.long), logits_to_keep=1)
    finally:
        handle.remove()
        model.requires_grad_(True)
    assert seen == [True, True, True, False]  # the last one is not ours any more
    assert len(answers) == 2


def test_a_suite_reports_what_it_has_prompts_for(model, tokenizer) -> None:
    assert Suite()(model, tokenizer) == {}
    suite = Suite(
        instructions={"followed": [Instruction("it", ("punctuation:no_comma",), ({},))]},
        facts={"known": [("what is it", "lute")]},
        foreign=["it"],
        templates=["I hope this helps"],
        text=[("what", "it is")],
        max_new_tokens=4,
    )
    figures = suite(model, tokenizer)
    assert set(figures) == {"followed", "known", "template_emission", "perplexity"}
    assert all(0 <= figures[name] <= 1 for name in ("followed", "known", "template_emission"))
