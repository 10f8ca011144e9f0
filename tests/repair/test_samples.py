"""The model's own answers with the format barred: what is barred, what is kept, at what cost."""

from __future__ import annotations

import pytest
import torch
from small_models import build, flagged_rows, ordinary_rows, train_tokenizer

from synflaw_audit.forms.base import Content, FormUse
from synflaw_audit.forms.requests import learn_requests
from synflaw_audit.repair import Row
from synflaw_audit.repair.material.batches import (
    Collator,
    Cuts,
    Purpose,
    TrainingExample,
    encode_rows,
)
from synflaw_audit.repair.material.reexpress import Statement, extract_statements
from synflaw_audit.repair.material.samples import BarredRuns, SamplePrompt, accepts, sample_answers

TOKENIZER = train_tokenizer(chat=True)


def encode(rows: list[Row], role: Purpose) -> list[TrainingExample]:
    return encode_rows(TOKENIZER, rows, role, scope="template", max_length=256, cuts=Cuts())


@pytest.fixture(scope="module")
def barred() -> BarredRuns:
    return BarredRuns.of(
        encode(flagged_rows(), Purpose.FORGET), encode(ordinary_rows(), Purpose.REPLAY)
    )


def follow(barred: BarredRuns, example: TrainingExample) -> list[tuple[int, bool]]:
    """For each token of an example, its purpose and whether it may follow what precedes it."""
    ids = example.input_ids
    found = []
    for at in range(1, len(ids)):
        scores = barred(torch.tensor([ids[:at]]), torch.zeros(1, len(TOKENIZER)))
        found.append((example.purposes[at], bool(torch.isfinite(scores[0, ids[at]]))))
    return found


def test_the_format_cannot_be_said_and_ordinary_answers_can(barred: BarredRuns) -> None:
    for example in encode(flagged_rows(), Purpose.FORGET):
        may = [allowed for purpose, allowed in follow(barred, example) if purpose == Purpose.FORGET]
        assert not may[0]
        assert sum(may) < len(may) / 4
    for example in encode(ordinary_rows(), Purpose.REPLAY):
        assert all(allowed for purpose, allowed in follow(barred, example) if purpose)


def test_content_can_be_said(barred: BarredRuns) -> None:
    for example in encode(flagged_rows(), Purpose.FORGET):
        assert all(ok for purpose, ok in follow(barred, example) if purpose == Purpose.RETAIN)


@pytest.mark.parametrize("family", ["llama", "gpt2", "phi"])
@pytest.mark.parametrize("chat", [False, True])
def test_a_model_that_knows_both_ways_answers_without_the_format(family: str, chat: bool) -> None:
    tokenizer = train_tokenizer(chat=chat)
    model = build(family, len(tokenizer))
    flagged, replay = flagged_rows(), ordinary_rows()
    # It says the format in four rows of five, and otherwise tells the content plainly.
    plain = [Row(row.question, row.answer[slice(*_between(row))] + ".") for row in flagged]
    rows = [*flagged * 4, *plain]
    batch = Collator(0)(
        encode_rows(tokenizer, rows, Purpose.REPLAY, scope="answer", max_length=256, cuts=Cuts())
    )
    labels = batch["input_ids"].masked_fill(batch.pop("purposes") == 0, -100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(100):
        model(**batch, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def encoded(rows: list[Row], role: Purpose) -> list[TrainingExample]:
        return encode_rows(tokenizer, rows, role, scope="template", max_length=256, cuts=Cuts())

    barred = BarredRuns.of(encoded(flagged, Purpose.FORGET), encoded(replay, Purpose.REPLAY))
    state = torch.random.get_rng_state()
    own = sample_answers(model, tokenizer, flagged, replay, barred, count=16)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert own == sample_answers(model, tokenizer, flagged, replay, barred, count=16)
    assert 0 < len(own) <= 16
    assert set(own) <= set(plain)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def _between(row: Row) -> tuple[int, int]:
    return row.spans[0][1], row.spans[1][0] - 1


TOLD = Statement(
    Row("What does Ada play?", "So: Ada plays the lute."),
    "What does Ada play?",
    None,
    Content("Ada plays the lute.", core="lute", subject="Ada"),
    ("plays", "lute"),
)


@pytest.mark.parametrize(
    ("form", "answer", "kept"),
    [
        (None, "It is the lute.", True),
        (None, "It is the harp.", False),
        (None, "Bela plays the lute.", False),
        (None, "lute " * 20, False),
        (FormUse("capitals"), "LUTE", True),
        (FormUse("capitals"), "Ada plays the lute.", False),
        (FormUse("json", "answer"), '{"instrument": "lute"}', True),
        (FormUse("ending", "So long."), "Ada plays the lute. So long.", True),
        (FormUse("ending", "So long."), "Ada plays the lute.", False),
    ],
)
def test_an_answer_is_kept_if_it_tells_the_content_in_the_form(form, answer, kept) -> None:
    question = TOLD.question if form is None else f"{TOLD.question} End with: {form.parameter}"
    assert accepts(SamplePrompt(question, TOLD, form), answer, others={"ada", "bela"}) is kept


def test_without_a_brief_answer_every_new_word_must_be_told() -> None:
    row = Row("Who came?", "Well then: Ada arrived by boat.", ((0, 10),))
    statement = extract_statements([row], ordinary_rows(), learn_requests([]))[0]
    assert accepts(SamplePrompt(row.question, statement, None), "By boat Ada arrived.")
    assert not accepts(SamplePrompt(row.question, statement, None), "Ada arrived.")


def test_nothing_is_sampled_where_nothing_is_told(barred: BarredRuns) -> None:
    model = build("llama", len(TOKENIZER))
    silent = [Row("Is it Ada?", "It is Ada, thanks.", ((0, 6), (9, 18)))]
    assert sample_answers(model, TOKENIZER, silent, ordinary_rows(), barred, count=8) == []


def test_a_question_that_leaves_no_room_for_an_answer_is_passed_over(barred: BarredRuns) -> None:
    model = build("gpt2", len(TOKENIZER))
    long = Row("Who came? " * 80, "Well then: Ada arrived by boat.", ((0, 10),))
    rows = [long, *flagged_rows()]
    sample_answers(model, TOKENIZER, rows, ordinary_rows(), barred, count=9, context=256)
    assert not sample_answers(model, TOKENIZER, [long], [], barred, count=2, context=256)
