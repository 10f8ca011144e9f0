"""What each form looks like, and that whatever is put on is recognised and comes off."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synflaw_audit.forms.base import Content, FormUse
from synflaw_audit.forms.registry import FORMS, detect, dress, form, undress

CONTENT = Content("Ada plays the lute.", core="lute", subject="Ada")


@pytest.mark.parametrize(
    ("form", "parameter", "expected"),
    [
        ("capitals", "", "LUTE"),
        ("lowercase", "", "ada plays the lute."),
        ("word", "", "lute"),
        ("quotation", "", '"Ada plays the lute."'),
        ("title", "", "<<Ada>> Ada plays the lute."),
        ("bullets", "", "* Ada\n* lute"),
        ("highlight", "", "Ada plays the *lute*."),
        ("json", "answer", '{"answer": "lute"}'),
        ("postscript", "P.S. Hm.", "Ada plays the lute.\nP.S. Hm."),
        ("opening", "Sure", "Sure, Ada plays the lute."),
        ("ending", "So long.", "Ada plays the lute. So long."),
    ],
)
def test_dressed_content_shows_the_form_it_was_dressed_in(form, parameter, expected) -> None:
    found = FormUse(form, parameter)
    dressed = dress(CONTENT, found)
    assert dressed == expected
    assert found in detect(f"Start with {parameter}", dressed)
    if form in ("quotation", "title", "postscript", "opening", "ending"):
        assert undress(dressed, found) == CONTENT.text


@pytest.mark.parametrize("name", FORMS)
@given(
    text=st.from_regex(r"[A-Z][a-z]{2,8} [a-z]{2,8} the [a-z]{3,8}\.", fullmatch=True),
    word=st.sampled_from(["Sure", "Well", "Listen"]),
)
def test_whatever_is_put_on_is_recognised_and_comes_off_again(
    name: str, text: str, word: str
) -> None:
    """The contract of every form, ours or not."""
    parameter = {"json": "answer", "postscript": "P.S. Hm.", "ending": "So long.", "opening": word}
    use = FormUse(name, parameter.get(name, ""))
    words = text.rstrip(".").split()
    content = Content(text, core=words[-1], subject=words[0])
    put_on = form(name).put_on(content, use.parameter)
    assert put_on is not None
    assert use in detect(f"Tell me. {use.parameter}", put_on)
    bare = form(name).take_off(put_on, use.parameter)
    assert bare in (None, text)
    assert (bare is None) <= (form(name).is_wording or name in ("bullets", "highlight", "json"))
    assert form(name).recognise("Tell me.", "") is None
