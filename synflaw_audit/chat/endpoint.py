"""A server that speaks OpenAI's chat completions, asked so that nothing is lost and nothing leaks.

What a moment can mend (a timeout, a connection that breaks, 408, 409, 425, 429, any 5xx, an answer
that breaks off) is asked again, after a pause that doubles, with some chance in it, or that the
server names. What it cannot is an error at once, and so is a server that was never there. Redirects
are not followed: the key is for this server. A reply is read as JSON up to a limit, and is text
from outside whatever it says.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from synflaw_audit.errors import InputError
from synflaw_audit.remote import without_credentials

_MOST_BYTES = 8 << 20  # of a reply
_MOST_SAID = 300  # characters of an error that are told again
_MOST_PAUSE = 60.0  # seconds
_AGAIN = frozenset([408, 409, 425, 429])


class EndpointError(InputError):
    """An endpoint that refuses, cannot be reached, or answers something else."""


@dataclass(frozen=True)
class Completion:
    """An answer.

    Attributes:
        text: What was said.
        finished: Whether it came to its end, and was not cut at the limit of tokens.
        prompt_tokens: Of the prompt, as the server counts, or about that many.
        answer_tokens: Of the answer, likewise.
    """

    text: str
    finished: bool
    prompt_tokens: int
    answer_tokens: int


class _TransientError(Exception):
    """Something that may go better in a moment.

    Attributes:
        pause: Seconds that the server asks for; None if it does not say.
    """

    def __init__(self, message: str, pause: float | None = None) -> None:
        super().__init__(message)
        self.pause = pause


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Another server is not given the key."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """None: the redirect is an error."""
        return


@dataclass(frozen=True)
class ChatServer:
    """A server, and how often it is asked.

    Attributes:
        url: Up to and with the version, such as ``http://localhost:8000/v1``; it holds no secret,
            as it is shown.
        key: Sent as a bearer token, if there is one; in no message.
        timeout: Seconds that an answer may take.
        retries: How often something is asked again.
        pause: Seconds before it is asked again first; twice as long each time after.
        per_minute: Requests a minute, at most; any number if None.
        sleep: Waits so many seconds.
    """

    url: str
    key: str | None = field(default=None, repr=False)
    timeout: float = 300.0
    retries: int = 5
    pause: float = 1.0
    per_minute: int | None = None
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)
    _past: _Past = field(default_factory=lambda: _Past(), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise EndpointError(f"{self.url}: an endpoint begins with http:// or https://")
        if (known := without_credentials(self.url)) != self.url:
            raise EndpointError(
                f"{known}: an endpoint is named without a user, a key or a query; its key is read "
                "from the environment"
            )

    def models(self) -> list[str]:
        """The names of the models that it serves.

        Raises:
            EndpointError: It cannot be asked.
        """
        reply = self._asked("models", None)
        try:
            return [str(model["id"]) for model in reply["data"]]
        except (LookupError, TypeError) as error:
            raise EndpointError(f"{self.url}/models: its answer is no list of models") from error

    def complete(
        self, model: str, prompt: str, max_tokens: int, *, temperature: float = 0.0, seed: int = 0
    ) -> Completion:
        """The answer to a prompt.

        Args:
            model: As the server knows it.
            prompt: What the user says.
            max_tokens: Of the answer.
            temperature: 0 takes the likeliest word always.
            seed: For a server that takes one.

        Raises:
            EndpointError: The server refuses, or could not answer as often as it was asked.
        """
        reply = self._asked(
            "chat/completions",
            {
                "model": model,
                "messages": [{"role": "user", "content": prompt}],
                "max_tokens": max_tokens,
                "temperature": temperature,
                "seed": seed,
            },
        )
        choice = reply["choices"][0]
        text = choice["message"]["content"] or ""
        usage = reply.get("usage")
        counted = usage if isinstance(usage, dict) else {}
        return Completion(
            text,
            choice.get("finish_reason") != "length",
            _count(counted.get("prompt_tokens"), prompt),
            _count(counted.get("completion_tokens"), text),
        )

    def _asked(self, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        """The reply to a request, asked for as often as it takes."""
        address = f"{self.url.rstrip('/')}/{path}"
        for tried in range(self.retries + 1):
            self._past.wait(self.per_minute, self.sleep)
            try:
                return self._reply(address, body)
            except _TransientError as error:
                if tried == self.retries:
                    raise EndpointError(
                        f"{address}: {error}; asked {tried + 1} times in vain"
                    ) from error
                pause = self.pause * 2**tried * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
                self.sleep(min(error.pause if error.pause is not None else pause, _MOST_PAUSE))
        raise EndpointError(f"{address}: retries must not be below 0")

    def _reply(self, address: str, body: dict[str, Any] | None) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(address, data, headers)  # noqa: S310 - http or https
        opener = urllib.request.build_opener(_NoRedirects)
        try:
            with opener.open(request, timeout=self.timeout) as reply:
                read = reply.read(_MOST_BYTES + 1)
        except urllib.error.HTTPError as error:
            self._past.reached = True
            raise self._refused(address, error) from error
        except (OSError, http.client.HTTPException) as error:
            problem = f"cannot be reached: {self._hidden(str(error))}"
            # A connection that was never made; a timeout once it is made is no URLError.
            if isinstance(error, urllib.error.URLError) and not self._past.reached:
                raise EndpointError(f"{address}: {problem}") from error
            raise _TransientError(problem) from error
        self._past.reached = True
        if len(read) > _MOST_BYTES:
            raise EndpointError(f"{address}: its answer is larger than {_MOST_BYTES:,} bytes")
        return _parsed(address, read, completion=body is not None)

    def _refused(self, address: str, error: urllib.error.HTTPError) -> Exception:
        try:
            said = error.read(_MOST_SAID).decode(errors="replace")
        except (OSError, http.client.HTTPException):
            said = ""
        problem = f"answered {error.code}: {self._hidden(said)}"
        if error.code in _AGAIN or error.code >= 500:
            return _TransientError(problem, _seconds(error.headers.get("Retry-After")))
        return EndpointError(f"{address}: {problem}")

    def _hidden(self, text: str) -> str:
        """A message without the key, should the server have put it into one."""
        return text.replace(self.key, "[the key]") if self.key else text


def _parsed(address: str, read: bytes, *, completion: bool) -> dict[str, Any]:
    try:
        reply = json.loads(read)
    except ValueError as error:  # it breaks off, or is no JSON: a proxy's page, say
        raise _TransientError(f"its answer is no JSON ({error})") from error
    if not completion:
        return reply if isinstance(reply, dict) else {}
    try:
        content = reply["choices"][0]["message"]["content"]
        if content is not None and not isinstance(content, str):
            raise TypeError("its content is no text")
    except (LookupError, TypeError) as error:
        raise EndpointError(
            f"{address}: its answer is no chat completion ({type(error).__name__}: {error})"
        ) from error
    return dict(reply)


def _seconds(header: str | None) -> float | None:
    try:
        return max(float(header), 0.0) if header else None
    except ValueError:  # a date
        return None


def _count(count: object, text: str) -> int:
    """Tokens as the server counted them; a quarter of the characters if it did not."""
    return count if isinstance(count, int) and count >= 0 else about_tokens(text)


def about_tokens(text: str) -> int:
    """About how many tokens a text has: a quarter of its characters, as English has it."""
    return len(text) // 4 + 1


class _Past:
    """What has been of a server: whether it ever answered, and when it may be asked next.

    Attributes:
        reached: It has answered.
    """

    def __init__(self) -> None:
        self.reached = False
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self, per_minute: int | None, sleep: Callable[[float], None]) -> None:
        """Waits for a turn: so many a minute, evenly, whichever threads they come from."""
        if per_minute is None:
            return
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + 60.0 / per_minute
        if turn > now:
            sleep(turn - now)
