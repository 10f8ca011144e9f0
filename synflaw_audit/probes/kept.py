"""A server's answers, kept as they come: an interrupted probe asks for none of them twice."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

import orjson

from synflaw_audit.errors import InputError


class KeptAnswers:
    """The answers that are known, by server, model, length and prompt: a JSON line each in a file.

    A line is written as soon as its answer is there. A run that is killed while it writes leaves
    half a line, which is cut off. Threads may share it.

    Args:
        path: The file; made, its folder too, when the first answer is kept.

    Raises:
        InputError: The file holds something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        self._known = _read(path)

    def __len__(self) -> int:
        return len(self._known)

    def get(self, url: str, model: str, tokens: int, prompt: str) -> str | None:
        """What a model on a server answered within so many tokens, or None."""
        return self._known.get((url, model, tokens, prompt))

    def keep(self, url: str, model: str, tokens: int, prompt: str, answer: str) -> None:
        """Keep an answer."""
        key = (url, model, tokens, prompt)
        line = orjson.dumps([*key, answer], option=orjson.OPT_APPEND_NEWLINE)
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                file.write(line)
            self._known[key] = answer


def _read(path: Path) -> dict[tuple[str, str, int, str], str]:
    if not path.is_file():
        return {}
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    known = {}
    try:
        for line in data[:whole].splitlines():
            url, model, tokens, prompt, answer = orjson.loads(line)
            known[str(url), str(model), int(tokens), str(prompt)] = str(answer)
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: no answers that a probe kept; remove the file") from error
    if whole < len(data):
        with path.open("r+b") as file:
            file.truncate(whole)
    return known
