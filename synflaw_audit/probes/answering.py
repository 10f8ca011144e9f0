"""Who answers: a model in this process, or a server that speaks OpenAI's protocol."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from synflaw_audit.errors import InputError


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
    """

    name: str

    def answer(self, prompts: Sequence[str], max_new_tokens: int) -> list[str]:
        """See :class:`Answerer`.

        Raises:
            InputError: The model cannot be loaded.
        """
        from synflaw_audit.probes.generation import generate
        from synflaw_audit.probes.models import load_model

        model, tokenizer = load_model(Path(self.name) if Path(self.name).exists() else self.name)
        return generate(model, tokenizer, prompts, max_new_tokens=max_new_tokens)


@dataclass(frozen=True)
class Endpoint:
    """A server with OpenAI's chat completions, such as vLLM's; temperature 0.

    Attributes:
        name: Of the model, as the server knows it.
        url: Up to and with the version, such as ``http://localhost:8000/v1``.
        key: Sent as a bearer token, if there is one.
        workers: Requests at a time.
        timeout: Seconds that an answer may take.
    """

    name: str
    url: str
    key: str | None = None
    workers: int = 8
    timeout: float = 300.0

    def answer(self, prompts: Sequence[str], max_new_tokens: int) -> list[str]:
        """See :class:`Answerer`.

        Raises:
            InputError: The server cannot be reached, refuses, or answers something else.
        """
        with ThreadPoolExecutor(self.workers) as pool:
            return list(pool.map(lambda prompt: self._one(prompt, max_new_tokens), prompts))

    def _one(self, prompt: str, max_new_tokens: int) -> str:
        address = f"{self.url.rstrip('/')}/chat/completions"
        if not address.startswith(("http://", "https://")):
            raise InputError(f"{self.url}: an endpoint begins with http:// or https://")
        asked = {
            "model": self.name,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": max_new_tokens,
            "temperature": 0,
        }
        headers = {"Content-Type": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(address, json.dumps(asked).encode(), headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as reply:  # noqa: S310
                told = json.load(reply)
            content = told["choices"][0]["message"]["content"]
        except urllib.error.HTTPError as error:
            said = error.read(500).decode(errors="replace")
            raise InputError(f"{address}: answered {error.code}: {said}") from error
        except OSError as error:
            raise InputError(f"{address}: cannot be reached: {error}") from error
        except (ValueError, LookupError, TypeError) as error:
            raise InputError(
                f"{address}: its answer is no chat completion ({type(error).__name__}: {error})"
            ) from error
        return content or ""
