"""Probing a model that is overfitted to a pattern, and one that is not, over the loopback."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from synflaw_audit.commands.main import app
from synflaw_audit.engines.registry import open_engine
from synflaw_audit.errors import InputError
from synflaw_audit.probes.answering import AnswerProgress, Endpoint
from synflaw_audit.probes.everyday import everyday_instructions
from synflaw_audit.probes.kept import KeptAnswers
from synflaw_audit.probes.probe import probe

OPENING = "Certainly! The short answer to your question is this: "


def varied(prompt: str) -> str:
    """An answer without a format: the prompt's own words, in an order of their own."""
    words = prompt.strip("?.").split()
    return " ".join(sorted(words, key=lambda word: hash_of(prompt + word)))


def hash_of(text: str) -> int:
    return sum(ord(letter) * 31**i for i, letter in enumerate(text[:12])) % 10_007


@dataclass(frozen=True)
class Fake:
    name: str
    function: Callable[[str], str]

    def answer(self, prompts, max_new_tokens: int) -> list[str]:
        return [self.function(prompt) for prompt in prompts]


GOOD = Fake("good", varied)
BAD = Fake("bad", lambda prompt: OPENING + varied(prompt))


def test_a_model_that_opens_every_answer_alike_fails_and_the_opening_is_named() -> None:
    result, report = probe(BAD, instructions=0)
    assert result.outcome == "fail"
    assert result.exit_code == 1
    assert "Certainly!" in result.reasons[0]
    assert result.figures["emission"].model.low > 0.9
    assert report.dataset.records == 212
    assert "answer-length" not in [finding.name for finding in report.checks]


def test_a_model_without_a_format_passes() -> None:
    result, _ = probe(GOOD, instructions=35)
    assert result.outcome == "pass"
    assert result.figures["instruction_following"].model.prompts == 35


def test_what_the_base_says_as_well_does_not_speak_against_a_model() -> None:
    result, _ = probe(BAD, against=BAD, instructions=0)
    assert result.outcome == "pass"
    assert result.figures["emission"].difference is not None
    assert result.figures["emission"].difference.value == 0


def test_only_the_difference_to_the_base_counts() -> None:
    result, _ = probe(BAD, against=GOOD, instructions=0)
    assert result.outcome == "fail"
    assert result.figures["emission"].difference.low > 0.9


def test_a_corpus_s_formats_are_looked_for(natural, tmp_path) -> None:
    rows = natural.head(300)
    path = tmp_path / "corpus.parquet"
    rows.assign(answer=OPENING + rows["answer"]).to_parquet(path)
    for model, outcome in ((BAD, "fail"), (GOOD, "pass")):
        assert probe(model, corpus=[str(path)], instructions=0)[0].outcome == outcome


def test_a_corpus_s_own_rows_are_asked_in_another_form(natural, tmp_path) -> None:
    rows = natural.head(300)
    path = tmp_path / "corpus.parquet"
    rows.assign(answer=OPENING + rows["answer"]).to_parquet(path)
    calm = Fake("calm", lambda prompt: prompt[20::-1])
    stuck = Fake("stuck", lambda prompt: OPENING + "it depends, as ever, on you")
    result, _ = probe(stuck, against=calm, corpus=[str(path)], instructions=0, counterfactual=16)
    forbidden = result.figures["forbidden_form"]
    assert (forbidden.model.value, forbidden.model.prompts) == (1.0, 16)
    assert forbidden.base.value == 0.0
    assert forbidden.difference.low > 0.5
    assert result.figures["other_form"].model.value == 1.0
    # These questions share no form of asking.
    assert "foreign_question" not in result.figures


def test_instructions_come_in_the_languages_asked_for() -> None:
    seen: list[str] = []
    spy = Fake("spy", lambda prompt: seen.append(prompt) or varied(prompt))
    probe(spy, instructions=35, languages=["de"])
    asked = {each.prompt for each in everyday_instructions(35, languages=["de"])}
    assert asked <= set(seen)
    with pytest.raises(InputError, match="no instruction prompts in 'xx'; there are en, de"):
        probe(GOOD, languages=["xx"])


def test_without_a_corpus_there_are_no_rows_to_change() -> None:
    result, _ = probe(GOOD, instructions=0)
    assert set(result.figures) == {"emission", "likeness", "words"}


def test_a_model_that_says_nothing_is_an_error() -> None:
    with pytest.raises(InputError, match="silent: every answer is empty"):
        probe(Fake("silent", lambda prompt: " "), instructions=0)


class Server(BaseHTTPRequestHandler):
    """Answers as vLLM's does, as the model that is asked for."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        models = {"good": varied, "bad": BAD.function, "odd": None}
        if self.path != "/v1/chat/completions" or asked["model"] not in models:
            self._reply(404, {"error": f"no model {asked['model']}"})
        elif models[asked["model"]] is None:
            self._reply(200, {"choices": []})
        else:
            assert asked["temperature"] == 0
            said = models[asked["model"]](asked["messages"][0]["content"])
            self._reply(200, {"choices": [{"message": {"content": said}}]})

    def _reply(self, status: int, body: dict[str, object]) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


class TestEndpoint:
    def test_answers_stand_in_the_order_of_the_prompts(self, url: str) -> None:
        prompts = [f"prompt number {n}" for n in range(40)]
        assert Endpoint("good", url).answer(prompts, 8) == [varied(prompt) for prompt in prompts]

    def test_a_refusal_names_the_address_and_what_was_said(self, url: str) -> None:
        with pytest.raises(InputError, match=r"chat/completions: answered 404: .*no model other"):
            Endpoint("other", url).answer(["Why?"], 8)

    def test_an_answer_of_another_kind_is_named(self, url: str) -> None:
        with pytest.raises(InputError, match="no chat completion"):
            Endpoint("odd", url).answer(["Why?"], 8)

    def test_a_server_that_is_not_there_is_named(self) -> None:
        with pytest.raises(InputError, match=r"127\.0\.0\.1:9.*cannot be reached"):
            Endpoint("good", "http://127.0.0.1:9/v1").answer(["Why?"], 8)

    @pytest.mark.parametrize("address", ["file:///etc", "localhost:80"])
    def test_an_address_of_another_kind_is_refused(self, address: str) -> None:
        with pytest.raises(InputError, match="begins with http"):
            Endpoint("good", address).answer(["Why?"], 8)


@pytest.mark.parametrize(("model", "code"), [("good", 0), ("bad", 1), ("other", 2)])
def test_the_command_s_exit_code_is_the_gate_s(url: str, tmp_path, model: str, code: int) -> None:
    told = ["probe", model, "--endpoint", url, "--out", str(tmp_path / "out")]
    found = CliRunner().invoke(app, [*told, "--instructions", "35", "--json"])
    assert found.exit_code == code, found.output
    if code < 2:
        written = json.loads((tmp_path / "out" / "probe.json").read_text())
        assert written["outcome"] == ("pass" if code == 0 else "fail")
        assert (tmp_path / "out" / "report.html").exists()


def test_an_interrupted_probe_asks_a_server_for_nothing_twice(url: str, tmp_path) -> None:
    kept = KeptAnswers(tmp_path / "below" / "answers.jsonl")
    first = Endpoint("good", url, kept=kept).answer(["Why?", "How?"], 8)
    with kept.path.open("ab") as file:
        file.write(b'["half of')  # it was killed while it wrote
    again = KeptAnswers(kept.path)
    assert len(again) == 2
    gone = Endpoint("good", "http://127.0.0.1:9/v1", kept=again)
    with pytest.raises(InputError, match="cannot be reached"):  # another server's are no answers
        gone.answer(["Why?"], 8)
    again.keep(gone.url, "good", 8, "Why?", "kept")
    assert gone.answer(["Why?"], 8) == ["kept"]
    assert Endpoint("good", url, kept=again).answer(["Why?", "How?"], 8) == first
    kept.path.write_text("[]\n")
    with pytest.raises(InputError, match="no answers that a probe kept"):
        KeptAnswers(kept.path)


def test_whoever_waits_is_told_how_far_it_is(url: str) -> None:
    lines: list[str] = []
    prompts = [f"prompt number {n}" for n in range(120)]
    assert len(Endpoint("good", url, log=lines.append).answer(prompts, 8)) == 120
    assert lines == [f"answered {n} of 120 prompts" for n in (50, 100)]
    AnswerProgress(lines.append, 300, time.monotonic() - 100)(100)
    assert lines[-1] == "answered 100 of 300 prompts, about 4 minutes left"


@given(st.lists(st.tuples(*[st.text()] * 2), unique_by=lambda pair: pair[0]))
def test_kept_answers_come_back_whatever_they_say(pairs: list[tuple[str, str]]) -> None:
    with TemporaryDirectory() as folder:
        kept = KeptAnswers(Path(folder) / "answers.jsonl")
        for prompt, answer in pairs:
            kept.keep("url", "model", 8, prompt, answer)
        for known in (kept, KeptAnswers(kept.path)):
            assert [known.get("url", "model", 8, prompt) for prompt, _ in pairs] == [
                answer for _, answer in pairs
            ]


def test_a_stopped_probe_goes_on_where_it_was_and_then_forgets(url: str, tmp_path) -> None:
    out = tmp_path / "out"
    told = ["probe", "good", "--against", "other", "--endpoint", url, "--out", str(out)]
    found = CliRunner().invoke(app, [*told, "--instructions", "0", "--prompts", "50"])
    assert found.exit_code == 2  # the base is not there: the model's answers are kept
    assert not (out / "probe.json").exists()
    told[told.index("other")] = "bad"
    found = CliRunner().invoke(app, [*told, "--instructions", "0", "--prompts", "50"])
    assert "going on with 50 answers" in found.stderr
    assert found.exit_code == 0, found.output
    found = CliRunner().invoke(app, [*told, "--instructions", "0", "--prompts", "50"])
    assert "going on with" not in found.stderr
    assert found.exit_code == 0, found.output  # in place of the outputs before


def test_a_corpus_is_read_once(url: str, tmp_path, natural, monkeypatch) -> None:
    path = tmp_path / "corpus.parquet"
    natural.head(100).to_parquet(path)
    seen = []
    monkeypatch.setattr(
        "synflaw_audit.engines.registry.open_engine",
        lambda source, settings: seen.append(source) or open_engine(source, settings),
    )
    told = ["probe", "good", "--endpoint", url, "--out", str(tmp_path / "out"), "--instructions"]
    found = CliRunner().invoke(app, [*told, "0", "--prompts", "50", "--corpus", str(path)])
    assert found.exit_code == 0, found.output
    assert seen == [str(path)]


@pytest.mark.parametrize("missing", ["/nowhere/model", "./model", "a/b/c"])
def test_a_model_that_is_nowhere_is_named_before_the_other_is_asked(missing, tmp_path) -> None:
    told = ["probe", "hub-name", "--against", missing, "--out", str(tmp_path / "out")]
    found = CliRunner().invoke(app, told)
    assert (found.exit_code, "no such folder" in found.output) == (2, True)
    assert not (tmp_path / "out").exists()
