"""Who answers: a model in this process, or a server that speaks OpenAI's protocol."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from synflaw_audit.chat.endpoint import ChatServer
from synflaw_audit.probes.kept import KeptAnswers

Log = Callable[[str], None]

_LOGGED = 50  # answers of a server from one line to the next
_SOON = 60.0  # seconds that nobody needs to be told of


@dataclass
class AnswerProgress:
    """Says how many prompts are answered, and about how long the others take.

    Attributes:
        log: Gets the lines.
        prompts: How many there are.
        start: When the first was asked, by the monotonic clock.
    """

    log: Log
    prompts: int
    start: float = field(default_factory=time.monotonic)

    def __call__(self, answered: int) -> None:
        """So many are answered."""
        seconds = (time.monotonic() - self.start) / answered * (self.prompts - answered)
        left = f", about {math.ceil(seconds / 60)} minutes left" if seconds > _SOON else ""
        self.log(f"answered {answered} of {self.prompts} prompts{left}")


class Answerer(Protocol):
    """Answers prompts, deterministically where it can."""

    @property
    def name(self) -> str:
        """What the report calls it."""

    def answer(self, prompts: Sequence[str], max_new_tokens: int) -> list[str]:
        """An answer to each prompt, in the same order."""


@dataclass(frozen=True)
class LocalModel:
    """A causal LM that transformers loads; greedy decoding.

    Attributes:
        name: A Hugging Face folder or a hub name.
        log: Gets a line whenever some prompts are answered.
    """

    name: str
    log: Log | None = field(default=None, repr=False)

    def answer(self, prompts: Sequence[str], max_new_tokens: int) -> list[str]:
        """See :class:`Answerer`.

        Raises:
            InputError: The model cannot be loaded.
        """
        from synflaw_audit.probes.generation import generate
        from synflaw_audit.probes.models import load_model

        model, tokenizer = load_model(Path(self.name) if Path(self.name).exists() else self.name)
        progress = None if self.log is None else AnswerProgress(self.log, len(prompts))
        return generate(model, tokenizer, prompts, max_new_tokens=max_new_tokens, progress=progress)


@dataclass(frozen=True)
class Endpoint:
    """A server with OpenAI's chat completions, such as vLLM's; temperature 0.

    Attributes:
        name: Of the model, as the server knows it.
        url: Up to and with the version, such as ``http://localhost:8000/v1``.
        key: Sent as a bearer token, if there is one.
        workers: Requests at a time.
        timeout: Seconds that an answer may take.
        kept: The answers that are there already, and where new ones are kept as they come.
        log: Gets a line whenever some prompts are answered.
    """

    name: str
    url: str
    key: str | None = field(default=None, repr=False)
    workers: int = 8
    timeout: float = 300.0
    kept: KeptAnswers | None = field(default=None, repr=False)
    log: Log | None = field(default=None, repr=False)

    def answer(self, prompts: Sequence[str], max_new_tokens: int) -> list[str]:
        """See :class:`Answerer`.

        Raises:
            EndpointError: The server cannot be reached, refuses, or answers something else.
        """
        server = ChatServer(self.url, self.key, self.timeout)

        def one(prompt: str) -> str:
            key = (self.url, self.name, max_new_tokens, prompt)
            known = None if self.kept is None else self.kept.get(*key)
            if known is not None:
                return known
            answer = server.complete(self.name, prompt, max_new_tokens).text
            if self.kept is not None:
                self.kept.keep(*key, answer)
            return answer

        progress = None if self.log is None else AnswerProgress(self.log, len(prompts))
        answers: list[str] = []
        with ThreadPoolExecutor(self.workers) as pool:
            for answer in pool.map(one, prompts):
                answers.append(answer)
                if progress is not None and len(answers) % _LOGGED == 0:
                    progress(len(answers))
        return answers
