"""A server is asked again where that can help, never on end, and its key goes nowhere else."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from chat_server import FAULTS, Served, serving

from synflaw_audit.chat.endpoint import ChatServer, EndpointError

KEY = "sk-secret-4711"


def server(served: Served, **more: Any) -> ChatServer:
    return ChatServer(served.url, KEY, **{"timeout": 0.3, "sleep": lambda seconds: None, **more})


@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_moment_can_mend_is_asked_again(fault: str) -> None:
    with serving(Served(str.upper, [fault, fault])) as served:
        said = server(served).complete("tiny", "why", 8)
    assert (said.text, said.finished) == ("WHY", True)
    assert (said.prompt_tokens, said.answer_tokens) == (30, 10)
    assert served.requests == 3


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "slow"])
def test_it_is_not_asked_on_end_and_the_key_is_in_no_message(
    fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(Served(str.upper, [fault] * 9)) as served:
        asked = server(served, retries=3)
        with pytest.raises(EndpointError, match="asked 4 times in vain") as raised:
            asked.complete("tiny", "why", 8)
    assert served.requests == 4
    assert served.headers["Authorization"] == f"Bearer {KEY}"
    assert KEY not in f"{raised.value} {raised.value.__cause__} {asked!r} {caplog.text}"


@pytest.mark.parametrize("fault", ["401", "302"])
def test_what_no_moment_can_mend_is_an_error_at_once(fault: str) -> None:
    with (
        serving(Served(str.upper, [fault])) as served,
        pytest.raises(EndpointError, match=f"answered {fault}") as raised,
    ):
        server(served).complete("tiny", "why", 8)
    assert served.requests == 1
    assert KEY not in str(raised.value)


def test_a_server_that_was_never_there_is_an_error_at_once() -> None:
    waited: list[float] = []
    with pytest.raises(EndpointError, match="cannot be reached"):
        ChatServer("http://127.0.0.1:9/v1", sleep=waited.append).complete("tiny", "why", 8)
    assert not waited


@pytest.mark.parametrize("place", [f"me:{KEY}@host/v1", f"{KEY}@host/v1", f"host/v1?key={KEY}"])
def test_an_address_with_a_secret_is_refused_and_not_told(place: str) -> None:
    with pytest.raises(EndpointError, match="without a user, a key or a query") as raised:
        ChatServer(f"https://{place}")
    assert "https://host/v1" in str(raised.value)
    assert KEY not in str(raised.value)


def test_pauses_double_and_the_server_s_own_is_kept() -> None:
    waited: list[float] = []
    with serving(Served(str.upper, ["500"] * 4 + ["429"])) as served:
        server(served, sleep=waited.append, pause=1.0).complete("tiny", "why", 8)
    for pause, most in zip(waited, [1, 2, 4, 8], strict=False):
        assert most / 2 <= pause <= most
    assert waited[4] == 0  # Retry-After


def test_no_more_requests_go_than_a_minute_allows() -> None:
    waited: list[float] = []
    with serving(Served(str.upper)) as served:
        asked = server(served, sleep=waited.append, per_minute=60)
        for _ in range(3):
            asked.complete("tiny", "why", 8)
    assert len(waited) == 2
    assert 0.5 < waited[0] < 1.01 < waited[1] < 2.01


def test_an_answer_without_an_end_is_known_as_such() -> None:
    with serving(Served(str.upper, finish="length")) as served:
        assert not server(served).complete("tiny", "why", 8).finished


def test_the_models_are_told() -> None:
    with serving(Served(str.upper, models=("a", "b"))) as served:
        assert server(served).models() == ["a", "b"]
