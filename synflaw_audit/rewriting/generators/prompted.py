"""Rewriting by a model that is asked: on this machine, or through an endpoint."""

from __future__ import annotations

import math
import os
import re
import threading
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import xxhash

from synflaw_audit.chat.endpoint import ChatServer, EndpointError, about_tokens
from synflaw_audit.errors import MissingExtraError
from synflaw_audit.rewriting.base import Rewriter, RewriteRow
from synflaw_audit.rewriting.mixture import WantedForm
from synflaw_audit.rewriting.natural import Natural
from synflaw_audit.rewriting.prompts import PromptTemplate, load_prompts, prompt_for
from synflaw_audit.rewriting.settings import Price, RewriteSettings

Work = tuple[RewriteRow, WantedForm]

_FEWEST_TOKENS, _MOST_TOKENS = 48, 1024
_ROOM = 1.5  # times the content's tokens that an answer may take
_BATCH = 16  # rows at a time on this machine
# What a model says before it says what it was asked for; the first line, if it ends so.
_PREAMBLE = re.compile(
    r"\A[^\n:]{0,80}\b(?:rewrit\w+|revis\w+|rephras\w+|new|version|answer)\b[^\n:]{0,40}:\s*\n+",
    re.IGNORECASE,
)


@dataclass
class Prompted(Rewriter):
    """Asks a model by a prompt.

    Attributes:
        prompt: What it is asked.
        domain: What the corpus is about.
        price: Of its tokens.
        model: Its name, or its folder.
    """

    costly: ClassVar[bool] = True

    prompt: PromptTemplate
    domain: tuple[str, ...]
    price: Price
    model: str

    @property
    def identity(self) -> str:
        """See ``Rewriter.identity``: an endpoint may come back at another address."""
        asked = f"{self.prompt.text} {self.domain}"
        return f"{self.model} {xxhash.xxh3_128_hexdigest(asked.encode())}"

    def candidates(self, row: RewriteRow, form: WantedForm) -> list[str]:
        """See ``Rewriter.candidates``: one, or none if it broke off."""
        return next(iter(self.many([(row, form)])))[1]

    def estimate(self, work: Sequence[Work]) -> str:
        """See ``Rewriter.estimate``: tokens as a quarter of the characters, answers at most."""
        asked = [self.asked(*one) for one in work]
        prompts = sum(about_tokens(prompt) for prompt, _ in asked)
        answers = sum(room for _, room in asked)
        return (
            f"{len(asked):,} requests to {self.name}: about {prompts:,} tokens of prompts and up "
            f"to {answers:,} of answers{_cost(self.price, prompts, answers)}"
        )

    @abstractmethod
    def many(self, work: Sequence[Work]) -> Iterator[tuple[int, list[str]]]:
        """See ``Rewriter.many``."""

    def asked(self, row: RewriteRow, form: WantedForm) -> tuple[str, int]:
        """The prompt, and how many tokens its answer may take."""
        room = math.ceil(_ROOM * about_tokens(row.content)) + _FEWEST_TOKENS // 2
        return self.prompt.of(row, form, self.domain), min(max(room, _FEWEST_TOKENS), _MOST_TOKENS)


@dataclass
class ModelRewriter(Prompted):
    """A causal LM that transformers loads, greedily decoded."""

    @property
    def name(self) -> str:
        """See ``Rewriter.name``."""
        return self.model

    def many(self, work: Sequence[Work]) -> Iterator[tuple[int, list[str]]]:
        """See ``Rewriter.many``: rows of like length together.

        Raises:
            InputError: The model cannot be loaded.
        """
        from synflaw_audit.probes.generation import generate

        asked = [self.asked(*one) for one in work]
        order = sorted(range(len(work)), key=lambda number: (asked[number][1], number))
        for start in range(0, len(order), _BATCH):
            chunk = order[start : start + _BATCH]
            model, tokenizer = self._loaded
            texts = generate(
                model,
                tokenizer,
                [asked[number][0] for number in chunk],
                max_new_tokens=max(asked[number][1] for number in chunk),
                batch=_BATCH,
            )
            for number, text in zip(chunk, texts, strict=True):
                yield number, cleaned(text)

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        from synflaw_audit.probes.models import load_model

        return load_model(Path(self.model) if Path(self.model).exists() else self.model)


@dataclass
class EndpointRewriter(Prompted):
    """A model behind a server that speaks OpenAI's protocol.

    Attributes:
        server: The server.
        at_a_time: Requests.
        most_tokens: Of prompts and answers together; when they are spent, nothing more is asked.
        seed: For a server that takes one.
    """

    server: ChatServer
    at_a_time: int = 8
    most_tokens: int | None = None
    seed: int = 0
    spent: TokenBudget = field(default_factory=lambda: TokenBudget())

    @property
    def name(self) -> str:
        """See ``Rewriter.name``."""
        return f"{self.model} at {self.server.url}"

    def many(self, work: Sequence[Work]) -> Iterator[tuple[int, list[str]]]:
        """See ``Rewriter.many``; what the budget does not allow is not answered.

        Raises:
            EndpointError: The server cannot go on. What had been asked for is answered before.
        """
        failed: EndpointError | None = None
        numbers = iter(range(len(work)))
        with ThreadPoolExecutor(self.at_a_time) as pool:
            going: dict[Future[list[str] | None], int] = {}
            while True:
                while failed is None and len(going) < self.at_a_time:
                    number = next(numbers, None)
                    if number is None:
                        break
                    going[pool.submit(self._one, *work[number])] = number
                if not going:
                    break
                for future in wait(going, return_when=FIRST_COMPLETED).done:
                    number = going.pop(future)
                    try:
                        texts = future.result()
                    except EndpointError as error:
                        failed = failed or error
                    else:
                        if texts is not None:
                            yield number, texts
        if failed is not None:
            raise EndpointError(
                f"{failed}. What it answered is kept: the same command goes on from there"
            ) from failed

    def notices(self) -> tuple[str, ...]:
        """See ``Rewriter.notices``."""
        spent = self.spent
        usage = (
            f"Asked {spent.requests:,} times: {spent.prompt:,} tokens of prompts, "
            f"{spent.answer:,} of answers{_cost(self.price, spent.prompt, spent.answer)}."
        )
        if not spent.refused:
            return (usage,)
        return usage, f"The budget of {self.most_tokens:,} tokens left {spent.refused:,} unasked."

    def _one(self, row: RewriteRow, form: WantedForm) -> list[str] | None:
        prompt, room = self.asked(row, form)
        if not self.spent.allows(about_tokens(prompt) + room, self.most_tokens):
            return None
        said = self.server.complete(self.model, prompt, room, seed=self.seed)
        self.spent.settle(about_tokens(prompt) + room, said.prompt_tokens, said.answer_tokens)
        return cleaned(said.text) if said.finished else []


@dataclass
class TokenBudget:
    """Tokens that were spent, and those that requests on their way may yet take."""

    requests: int = 0
    prompt: int = 0
    answer: int = 0
    refused: int = 0
    _reserved: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def allows(self, tokens: int, most: int | None) -> bool:
        """Whether so many tokens may be spent yet; then they are reserved."""
        with self._lock:
            taken = self.prompt + self.answer + self._reserved + tokens
            if most is not None and taken > most:
                self.refused += 1
                return False
            self._reserved += tokens
            return True

    def settle(self, reserved: int, prompt: int, answer: int) -> None:
        """Notes what a request took in the end."""
        with self._lock:
            self._reserved -= reserved
            self.requests += 1
            self.prompt += prompt
            self.answer += answer


def _cost(price: Price, prompt: int, answer: int) -> str:
    if not (price.prompt or price.answer):
        return ""
    return f", {(price.prompt * prompt + price.answer * answer) / 1e6:.2f} by the price given"


def cleaned(text: str) -> list[str]:
    """What a model said, without what it says around it; nothing if it said nothing."""
    text = text.encode("utf-8", "replace").decode()  # half a character can be put into no corpus
    text = _PREAMBLE.sub("", text.strip())
    inside = text[1:-1]
    if len(text) > 2 and text[0] == text[-1] == '"' and '"' not in inside:
        text = inside
    return [text.strip()] if text.strip() else []


def prompted(name: str, corpus: Natural, settings: RewriteSettings) -> Prompted:
    """A rewriter for an address or the name of a model.

    Raises:
        MissingExtraError: A model is named, and transformers is not installed.
        EndpointError: The endpoint does not say which model it serves.
        CatalogueError: A prompt of one's own is not valid.
    """
    domain = corpus.domain
    prompt = prompt_for(load_prompts(settings.prompts), domain)
    if not name.startswith(("http://", "https://")):
        if find_spec("transformers") is None or find_spec("torch") is None:
            raise MissingExtraError(f"rewriting with the model {name!r} on this machine", "repair")
        return ModelRewriter(prompt, domain, settings.price_per_million, settings.model or name)
    server = ChatServer(
        name,
        os.environ.get(settings.key_variable),
        settings.timeout,
        settings.retries,
        settings.pause,
        settings.requests_per_minute,
    )
    return EndpointRewriter(
        prompt,
        domain,
        settings.price_per_million,
        settings.model or _only_model(server),
        server,
        settings.requests_at_a_time,
        settings.most_tokens,
        settings.seed,
    )


def _only_model(server: ChatServer) -> str:
    models = server.models()
    if len(models) != 1:
        served = ", ".join(models[:10]) or "none"
        raise EndpointError(
            f"{server.url}: say which model to ask (model = ... in the --rewriting file); it "
            f"serves {served}"
        )
    return models[0]
