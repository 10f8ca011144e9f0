"""A server with OpenAI's chat completions on the loopback, which fails as it is told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FAULTS = ("429", "500", "hang up", "truncated", "no json", "slow")


@dataclass
class Served:
    """What is served, and what has been asked.

    Attributes:
        answer: What the model says to a prompt.
        faults: Of the requests in their order, the fault that each meets; "" for none.
        dies_after: The server hangs up on every request after so many.
        url: Its address.
        asked: The prompts that were answered.
        requests: How many came, those that failed among them.
        headers: Of the latest.
    """

    answer: Callable[[str], str]
    faults: Sequence[str] = ()
    dies_after: int | None = None
    models: tuple[str, ...] = ("tiny",)
    finish: str = "stop"
    url: str = ""
    asked: list[str] = field(default_factory=list)
    requests: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    slow: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serving(served: Served) -> Iterator[Served]:
    """Serves until it is left."""
    handler = type("Handler", (_Handler,), {"served": served})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield served
    finally:
        served.slow.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    served: Served

    def do_GET(self) -> None:
        self._reply(200, json.dumps({"data": [{"id": name} for name in self.served.models]}))

    def do_POST(self) -> None:
        served = self.served
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with served.lock:
            number = served.requests
            served.requests += 1
            served.headers = dict(self.headers)
        dead = served.dies_after is not None and number >= served.dies_after
        fault = served.faults[number] if number < len(served.faults) else ""
        if dead or fault == "hang up":
            self.close_connection = True
            self.connection.close()
            return
        if fault in ("429", "500", "401", "302"):
            self._reply(int(fault), json.dumps({"error": f"with {self.headers['Authorization']}"}))
            return
        if fault == "slow":
            served.slow.wait(5)
        prompt = body["messages"][0]["content"]
        whole = json.dumps(self._completion(served.answer(prompt)))
        if fault in ("truncated", "no json"):
            self._reply(200, whole[: len(whole) // 2] if fault == "truncated" else "<html>")
            return
        with served.lock:
            served.asked.append(prompt)
        self._reply(200, whole)

    def _completion(self, text: str) -> dict[str, Any]:
        choice = {"message": {"content": text}, "finish_reason": self.served.finish}
        return {"choices": [choice], "usage": {"prompt_tokens": 30, "completion_tokens": 10}}

    def _reply(self, status: int, text: str) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            if status == 429:
                self.send_header("Retry-After", "0")
            if status == 302:
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()
            self.wfile.write(text.encode())
        except OSError:  # the client did not wait
            pass

    def log_message(self, *_: object) -> None:
        pass
