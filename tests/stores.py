"""A small object store on loopback, which speaks as much of S3 as reading takes, and plain HTTP.

Moto, the usual stand-in for S3, cannot be installed beside what the project is developed with (its
botocore wants an older dateutil); where its server is on the PATH, the tests ask that as well.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


@dataclass
class Store:
    """The files of a store, "bucket/key", what it gives nobody, and what was asked of it."""

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    forbidden: set[str] = field(default_factory=set)
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def query(self) -> str:
        """What a URI says behind "?" to be read from here."""
        return f"?endpoint_override={self.address}&scheme=http&region=us-east-1"

    def uri(self, name: str) -> str:
        """The URI of a file, a folder or a pattern, with a key and a secret to it."""
        return f"s3://someone:t0psecret@{name}{self.query}"


@contextmanager
def store() -> Iterator[Store]:
    """A store that is there until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    host, port = server.server_address[:2]
    found = Store(f"{host}:{port}")
    server.store = found  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def _answer(self, *, body: bool) -> None:
        store: Store = self.server.store  # type: ignore[attr-defined]
        parts = urlsplit(self.path)
        key, query = unquote(parts.path).strip("/"), parse_qs(parts.query)
        wanted = self.headers.get("Range", "")
        store.asked.append((self.command, key, wanted))
        if "prefix" in query or "list-type" in query:
            prefix = query.get("prefix", [""])[0]
            self._send(200, _listing(store, key, prefix, query.get("delimiter", [""])[0]), {}, body)
        elif key in store.forbidden:
            self._send(403, b"", {}, body)
        elif key in store.files:
            data = store.files[key]
            headers = {
                "ETag": f'"{hashlib.sha256(data).hexdigest()}"',
                "Last-Modified": "Thu, 26 Nov 2026 00:00:00 GMT",
                "Accept-Ranges": "bytes",
            }
            first, last = 0, len(data) - 1
            if wanted.startswith("bytes="):
                start, _, end = wanted.removeprefix("bytes=").partition("-")
                first, last = int(start), min(int(end or last), last)
                headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            self._send(206 if wanted else 200, data[first : last + 1], headers, body)
        elif any(name.startswith(f"{key}/") for name in store.files) and "/" not in key:
            self._send(200, b"", {}, body)  # a bucket
        else:
            self._send(404, b"<Error><Code>NoSuchKey</Code></Error>", {}, body)

    def _send(self, status: int, data: bytes, headers: dict[str, str], body: bool) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(data))}).items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data)


def _listing(store: Store, bucket: str, prefix: str, delimiter: str) -> bytes:
    """The answer of ListObjectsV2, all in one page."""
    entries, folders = [], set()
    for name, data in sorted(store.files.items()):
        home, _, key = name.partition("/")
        if home != bucket or not key.startswith(prefix):
            continue
        head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
        if found:
            folders.add(prefix + head + delimiter)
            continue
        entries.append(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(data)}</Size>"
            "<LastModified>2026-11-26T00:00:00.000Z</LastModified></Contents>"
        )
    entries += [
        f"<CommonPrefixes><Prefix>{escape(each)}</Prefix></CommonPrefixes>"
        for each in sorted(folders)
    ]
    return (
        '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix>"
        f"<KeyCount>{len(entries)}</KeyCount><IsTruncated>false</IsTruncated>"
        f"{''.join(entries)}</ListBucketResult>"
    ).encode()
