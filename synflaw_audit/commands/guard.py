"""The outermost guard of the command line: what ends a command, and with which exit code.

0 and 1 come only from a command that came to its end and said so; Python's own exit code for a
crash is 1, and so is that of a library that ends the process when there is no memory, which a
pipeline would read as "the gate failed". So a command runs in a child process, which tells this one
what it decided; whatever else becomes of it is a fault, or a signal. Nothing is imported here that
is not part of Python or two screens long, so that the guard stands before anything can fail.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from synflaw_audit.errors import SynflawError
from synflaw_audit.untrusted import on_one_line, visible

FAULT = 2
_SIGNALLED = 128  # and the signal's number, as shells count
_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
# A terminal sends an interrupt to every process, and this one hands it on.
_SAME_INTERRUPT = 0.5
# The numerical libraries reserve about this much, and OpenBLAS asks for ever where it gets less.
_ADDRESS_SPACE = 1280 << 20
_received: list[tuple[int, float]] = []


class Terminated(BaseException):
    """A signal asked this process to end; like ``KeyboardInterrupt``, which is one of them."""


def guarded(command: Callable[[], int]) -> NoReturn:
    """Runs a command and ends the process with its exit code, whatever happens.

    Args:
        command: Gives its exit code, 0 or 1 when it has decided and all is written.
    """
    children: list[int] = []
    _on_signals(lambda number, _: _hand_on(number, children))
    try:
        reading, writing = os.pipe()
        child = os.fork()
    except (AttributeError, OSError):  # Windows; no process is to be had
        sys.exit(_ended(command))
    if child:
        children.append(child)
        for number, _ in tuple(_received):  # before there was a child
            os.kill(child, number)
        sys.exit(_watched(child, reading))
    _die_with_parent()
    code = _ended(command)
    os.write(writing, bytes([code]))
    sys.exit(code)


def report_failure(error: BaseException) -> int:
    """Says on stderr why a command ended before its end; its exit code."""
    with suppress(BaseException):  # there may be no stderr, or no memory
        # An interrupt may come up as another error where it strikes a library.
        if _received or isinstance(error, KeyboardInterrupt):
            number = _received[0][0] if _received else signal.SIGINT
            complain("interrupted" if number == signal.SIGINT else "terminated")
            return _SIGNALLED + number
        if isinstance(error, BrokenPipeError):
            complain("whoever was to read the output has closed it")
        elif isinstance(error, OSError):
            name = f"{os.fsdecode(error.filename)}: " if error.filename else ""
            complain(f"{name}{error.strerror or error}")
        elif isinstance(error, SynflawError):
            complain(str(error))
        elif isinstance(error, MemoryError):
            complain("out of memory; --memory-limit lowers what an audit needs")
        elif isinstance(error, ImportError):
            complain(f"{error}; this library is missing or broken: reinstall synflaw-audit")
        elif not isinstance(error, SystemExit):  # that of a library decides nothing
            import traceback

            print(visible("".join(traceback.format_exception(error))), end="", file=sys.stderr)
            complain("this is a fault of the program; please report it with the lines above")
    return _SIGNALLED + _received[0][0] if _received else FAULT


def complain(message: str) -> None:
    """One line on stderr, in which no control character reaches the terminal."""
    print(f"synflaw: {on_one_line(message)}", file=sys.stderr)


def _ended(command: Callable[[], int]) -> int:
    """The exit code of a command, and all that it printed on its way."""
    try:
        _prepare()
        code = command()
        _flush()
    except BaseException as error:
        code = report_failure(error)
    try:
        _flush()
    except BaseException:
        _give_up_streams()  # what they hold cannot be written, and Python would try once more
    return code


def _watched(child: int, decisions: int) -> int:
    """The exit code of what goes on in a child."""
    _, status = os.waitpid(child, 0)
    os.set_blocking(decisions, False)  # children of its own may hold it open
    with suppress(BlockingIOError):
        if decided := os.read(decisions, 1):
            return decided[0]
    code = os.waitstatus_to_exitcode(status)
    if _received or -code in _SIGNALS:
        return _SIGNALLED + (_received[0][0] if _received else -code)
    with suppress(BaseException):
        how = f"with exit code {code}" if code >= 0 else f"by {signal.Signals(-code).name}"
        complain(f"ended {how} before it had decided, as happens when there is too little memory")
    return FAULT


def _die_with_parent() -> None:
    """Whoever kills the process that was started means this one (where the system is Linux)."""
    with suppress(Exception):
        import ctypes

        parent_death_signal = 1
        ctypes.CDLL(None).prctl(parent_death_signal, signal.SIGKILL)


def _prepare() -> None:
    """Signals become exceptions, and no character is a reason not to print the others."""
    _on_signals(_raise)
    for number, _ in _received[:1]:
        raise _exception(number)
    _require_address_space()
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started this
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123 - until the end
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _require_address_space() -> None:
    """Refuses a limit (``ulimit -v``) under which the libraries would hang instead of failing.

    Raises:
        SynflawError: Names the limit and what is needed.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < _ADDRESS_SPACE:
        raise SynflawError(
            f"out of memory: the address space is limited to {limit >> 20} MB (ulimit -v), and the "
            f"numerical libraries alone reserve {_ADDRESS_SPACE >> 20} MB"
        )


def _on_signals(handler: Callable[[int, FrameType | None], None]) -> None:
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, handler)


def _hand_on(number: int, children: list[int]) -> None:
    _received.append((number, time.monotonic()))
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(child, number)


def _raise(number: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    if _received and now - _received[0][1] < _SAME_INTERRUPT:
        return
    if _received:  # the second time it ends the process at once
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    _received.append((number, now))
    raise _exception(number)


def _exception(number: int) -> BaseException:
    return KeyboardInterrupt() if number == signal.SIGINT else Terminated(number)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()


def _give_up_streams() -> None:
    with suppress(BaseException):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())
