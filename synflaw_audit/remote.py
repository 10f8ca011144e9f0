"""Files that are not on this machine: in object stores, on HDFS, on the hub, on the web.

What Arrow speaks itself (``s3://``, ``gs://``, ``hdfs://``, ``abfs://``) needs no other package;
everything else goes through fsspec (``hf://``, ``https://``, ``memory://``, and whatever is
installed for it). Credentials are found as these libraries find them, in the environment and in
their files; those that stand in a URI are used, and never shown.
"""

from __future__ import annotations

import glob
import io
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from urllib.parse import quote, unquote, urlsplit

from synflaw_audit.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from pyarrow.fs import FileSystem

# What one request asks for: a store answers each after some hundredths of a second.
_REQUEST_BYTES = 4 << 20
_ARROW = frozenset({"s3", "gs", "gcs", "hdfs", "viewfs", "abfs", "abfss"})
_ALIASES = {"s3a": "s3", "s3n": "s3"}
_WEB = frozenset({"http", "https"})
_NOT_FOUND = 404
# ``pathlib`` takes one of the two slashes away.
_URI = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):(?://|/(?!/))(?P<rest>.*)", re.DOTALL)
_FILE = re.compile(r"file:(?://(?:localhost)?(?=/))?(?P<path>/.*)", re.DOTALL)
# Where stores tell which version of a file they hold, the surest first.
_VERSIONS = (
    *("ETag", "etag", "generation", "md5Hash", "blob_id", "checksum"),
    *("Last-Modified", "LastModified", "last_modified", "updated", "mtime", "created"),
)
_LONGEST_REASON = 400
_HADOOP = "HDFS needs Java and Hadoop here (JAVA_HOME, HADOOP_HOME, CLASSPATH)"
# Arrow would go on asking Google's store for a quarter of an hour.
_PATIENCE = "retry_limit_seconds=30"
# What may be told of a query: where a store is, not how one gets in.
_OPEN_SECRETS = frozenset({"endpoint_override", "region", "scheme", "retry_limit_seconds"})


class Status(NamedTuple):
    """What a store tells of a file; as far as readers ask, what ``os.stat_result`` is.

    Attributes:
        st_size: In bytes.
        version: Changes whenever the file does: its ETag, or the time of its last change.
        st_mode: Of a regular file.
    """

    st_size: int
    version: str
    st_mode: int = stat.S_IFREG


@dataclass(frozen=True)
class RemotePath:
    """A file or folder that is not on this machine, in place of a ``pathlib.Path``.

    Attributes:
        uri: How it is shown: without credentials, and without what stands behind "?".
        pattern: What is looked for below it, where a pattern was named; else "".
    """

    uri: str
    pattern: str
    _key: str = field(repr=False)
    _filesystem: FileSystem = field(repr=False, compare=False)
    _secrets: tuple[str, ...] = field(default=(), repr=False, compare=False)

    def __str__(self) -> str:
        return self.uri

    def __fspath__(self) -> str:
        return self.uri

    @property
    def name(self) -> str:
        """As of a path, like the next two."""
        return PurePosixPath(self.uri).name

    @property
    def suffix(self) -> str:
        """See there."""
        return PurePosixPath(self.uri).suffix

    @property
    def stem(self) -> str:
        """See there."""
        return PurePosixPath(self.uri).stem

    @property
    def mirror(self) -> Path:
        """Where a copy of it would stand, as a path of this machine: /s3/bucket/key."""
        scheme, _, rest = self.uri.partition("://")
        return Path("/", scheme, *(part for part in rest.split("/") if part not in ("", "..")))

    def stat(self) -> Status:
        """What the store tells of the file now.

        Raises:
            OSError: It is not there, or may not be read.
        """
        with _store_errors(self._secrets):
            info = self._filesystem.get_file_info(self._key)
            if not info.is_file:
                raise FileNotFoundError("no such file")
            return Status(info.size or 0, self._version() or str(info.mtime_ns))

    def open(self, mode: str = "rb", buffering: int = -1) -> io.BufferedReader:
        """Opens the file for reading bytes; so many are fetched at a time as a request is worth.

        Raises:
            OSError: It is not there, or may not be read.
        """
        return io.BufferedReader(self.open_random(), _REQUEST_BYTES)

    def open_random(self) -> io.RawIOBase:
        """Opens the file for reading here and there, no more than is asked for.

        Raises:
            OSError: As ``open``.
        """
        with _store_errors(self._secrets):
            return _Raw(self._filesystem.open_input_file(self._key), self._secrets)

    def kind(self) -> str:
        """Whether it is a "file", a "folder" or "" for nothing.

        Raises:
            OSError: The store does not answer, or does not tell.
        """
        with _store_errors(self._secrets):
            info = self._filesystem.get_file_info(self._key)
            if info.type.name == "NotFound" and _parts(self.uri)[0] in _WEB:
                self._require_answer()
        return {"File": "file", "Directory": "folder"}.get(info.type.name, "")

    def below(self) -> Iterator[RemotePath]:
        """Yields every file below a folder, by name: all, or those that the pattern matches.

        Raises:
            OSError: As ``kind``.
        """
        from fsspec.utils import glob_translate
        from pyarrow.fs import FileSelector

        wanted = re.compile(glob_translate(self.pattern)) if self.pattern else None
        with _store_errors(self._secrets):
            selector = FileSelector(self._key, recursive=True, allow_not_found=bool(wanted))
            found = self._filesystem.get_file_info(selector)
        root = self._key.rstrip("/")
        for info in sorted((info for info in found if info.is_file), key=lambda info: info.path):
            parts = info.path.removeprefix(root).strip("/").split("/")
            heads = ("/".join(parts[:end]) for end in range(1, len(parts) + 1))
            if wanted is None or any(map(wanted.match, heads)):
                yield self.child("/".join(parts), info.path)

    def child(self, name: str, key: str = "") -> RemotePath:
        """What has a name below it."""
        uri = f"{self.uri.rstrip('/')}/{name}"
        key = key or f"{self._key.rstrip('/')}/{name}"
        return RemotePath(uri, "", key, self._filesystem, self._secrets)

    def _require_answer(self) -> None:
        """Raises what fsspec calls "not found" as well: a server that is silent or refuses."""
        try:
            self._filesystem.handler.fs.info(self._key)
        except FileNotFoundError as error:
            reason = error.__cause__
            if isinstance(reason, Exception) and getattr(reason, "status", None) != _NOT_FOUND:
                raise OSError(str(reason) or type(reason).__name__) from None

    def _version(self) -> str:
        """What the store calls the version that it holds; "" if it tells none."""
        handler = getattr(self._filesystem, "handler", None)
        if handler is not None:
            known = handler.fs.info(self._key)
        else:
            with self._filesystem.open_input_stream(self._key) as stream:
                metadata = stream.metadata() or {}
            known = {_text(name): _text(value) for name, value in metadata.items()}
        return next((str(known[name]) for name in _VERSIONS if known.get(name)), "")


# What a reader is given: a file of this machine, or another.
FilePath: TypeAlias = Path | RemotePath


def local_path(name: str) -> str:
    """The path that a "file:" URI names; any other name as it is."""
    found = _FILE.fullmatch(name)
    return unquote(found["path"]) if found else name


def is_remote(name: str | os.PathLike[str]) -> bool:
    """Whether a name is a URI of something that is not on this machine."""
    found = _URI.fullmatch(os.fspath(name))
    if found is None or found["scheme"].lower() == "file":
        return False
    return "://" in os.fspath(name) or not Path(name).exists()


def without_credentials(name: str) -> str:
    """A URI without credentials, and without what stands behind "?"; any other name as it is."""
    if not is_remote(name):
        return name
    scheme, rest = _parts(name)
    rest = rest.partition("?")[0] if scheme in _WEB | _ARROW else rest
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def remote_path(name: str | os.PathLike[str]) -> RemotePath:
    """The file, folder or pattern that a URI names; whether it is there is not asked yet.

    Args:
        name: The URI. Behind "?" may stand what ``pyarrow.fs.FileSystem.from_uri`` knows, such as
            "s3://bucket/folder?endpoint_override=localhost:9000&scheme=http".

    Raises:
        InputError: Nothing that is installed reads such URIs, or the store cannot be asked.
        MissingExtraError: It takes an extra of this package to read them.
    """
    uri = os.fspath(name)
    scheme, rest = _parts(uri)
    secrets, known = tuple(_secrets(uri)), without_credentials(uri)
    query, pattern = "", ""
    if scheme in _ARROW:
        rest, _, query = rest.partition("?")
    if scheme not in _WEB:
        rest, pattern = _until_magic(rest)
        known = known.removesuffix(pattern).rstrip("/") if pattern else known
    try:
        with _store_errors(secrets):
            opened = _arrow(scheme, rest, query) if scheme in _ARROW else _fsspec(scheme, rest)
    except ImportError as error:
        if scheme in _WEB:
            raise MissingExtraError(f"{scheme}://", "remote") from error
        text = f"{known}: needs another package to read {scheme}:// ({why(error)})"
        raise InputError(text) from error
    except (OSError, ValueError) as error:
        needs = _HADOOP if "libjvm" in str(error) or "libhdfs" in str(error) else why(error)
        raise InputError(f"{known}: cannot be opened: {needs}") from None
    filesystem, key = opened
    return RemotePath(known, pattern, key, filesystem, secrets)


def stamp(path: FilePath) -> tuple[int, int | str]:
    """A file's size, and what changes when the file does: its time or, elsewhere, its version.

    Raises:
        OSError: It is not there, or may not be read.
    """
    status = path.stat()
    if isinstance(status, Status):
        return status.st_size, status.version
    return status.st_size, status.st_mtime_ns


def why(error: Exception) -> str:
    """What is wrong, in words, on one line; HDFS's library names every place it looked at."""
    text = getattr(error, "strerror", None) or " ".join(str(error).split())
    return text[:_LONGEST_REASON] or type(error).__name__


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


class _Raw(io.RawIOBase):
    """A remote file as Python's buffers read one."""

    def __init__(self, file: Any, secrets: tuple[str, ...]) -> None:
        self._file = file
        self._secrets = secrets

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        with _store_errors(self._secrets):
            return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: WriteableBuffer) -> int:
        room = memoryview(buffer)
        with _store_errors(self._secrets):
            data = self._file.read(len(room))
        room[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


@contextmanager
def _store_errors(secrets: tuple[str, ...]) -> Iterator[None]:
    """Makes of whatever a store's library raises an ``OSError`` that tells no secret."""
    try:
        yield
    except (ImportError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise FileNotFoundError(_without(why(error), secrets)) from None
    except Exception as error:
        raise OSError(_without(why(error), secrets)) from None


def _without(text: str, secrets: tuple[str, ...]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def _secrets(uri: str) -> Iterator[str]:
    """What of a URI is shown nowhere, as it is written and as it is meant."""
    parts = urlsplit(uri)
    written = []
    if "@" in parts.netloc:
        user = parts.netloc.rpartition("@")[0]
        written += [user, user.partition(":")[2]]
    if parts.query:
        pairs = (pair.partition("=") for pair in parts.query.split("&"))
        written += [value for name, _, value in pairs if name not in _OPEN_SECRETS]
    yield from (part for text in written for part in {text, unquote(text)} if part)


def _parts(uri: str) -> tuple[str, str]:
    """The scheme of a URI, and what follows it."""
    found = _URI.fullmatch(uri)
    if found is None:
        raise InputError(f"{uri}: is no URI")
    scheme = found["scheme"].lower()
    return _ALIASES.get(scheme, scheme), found["rest"]


def _until_magic(path: str) -> tuple[str, str]:
    """A path up to where a pattern begins, and the pattern; "" if it holds none."""
    parts = path.split("/")
    for number, part in enumerate(parts):
        if glob.has_magic(part):
            return "/".join(parts[:number]), "/".join(parts[number:])
    return path, ""


def _arrow(scheme: str, rest: str, query: str) -> tuple[FileSystem, str]:
    from pyarrow.fs import FileSystem

    if scheme in ("gs", "gcs") and "retry_limit_seconds" not in query:
        query = f"{query}&{_PATIENCE}" if query else _PATIENCE
    uri = f"{scheme}://{quote(rest, safe='/:@%&=+$,;~')}" + (f"?{query}" if query else "")
    filesystem, key = FileSystem.from_uri(uri)
    return filesystem, key


def _fsspec(scheme: str, rest: str) -> tuple[FileSystem, str]:
    from fsspec.core import url_to_fs
    from pyarrow.fs import FSSpecHandler, PyFileSystem

    # A cache of listings would hide what changes while an audit runs.
    found, key = url_to_fs(f"{scheme}://{rest}", use_listings_cache=False)
    return PyFileSystem(FSSpecHandler(found)), key
