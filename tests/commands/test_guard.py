"""0 and 1 are what a command decided; every other end has a code of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

GUARDED = """
import os, signal, sys, time
# Both are ignored where the tests run under nohup or in the background.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
from synflaw_audit.commands.guard import guarded
def command():
    {body}
    return {code}
guarded(command)
"""


def ended(body: str, code: int = 0, **options: object) -> subprocess.CompletedProcess[str]:
    program = GUARDED.format(body=body, code=code)
    return subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", program], text=True, check=False, stderr=subprocess.PIPE, **options
    )  # type: ignore[call-overload]


@pytest.mark.parametrize("code", [0, 1, 2])
def test_a_command_that_ends_says_its_code(code: int) -> None:
    done = ended("print('done')", code, stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout, done.stderr) == (code, "done\n", "")


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        ("sys.exit(0)", 2, ""),
        ("sys.exit(1)", 2, ""),
        ("os._exit(0)", 2, "ended with exit code 0 before it had decided"),
        ("os._exit(1)", 2, "ended with exit code 1 before it had decided"),
        ("os.abort()", 2, "ended by SIGABRT"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", 2, "ended by SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGKILL)", 2, "ended by SIGKILL"),
        ("raise MemoryError", 2, "out of memory"),
        ("import no_such_library", 2, "this library is missing"),
        ("1 / 0", 2, "fault of the program"),
        ("raise BrokenPipeError", 2, "has closed it"),
        ("raise OSError(28, 'No space left on device', 'x')", 2, "x: No space left on device"),
        ("raise KeyboardInterrupt", 130, "interrupted"),
        ("raise BaseException('odd')", 2, "odd"),
        ("raise OSError(2, 'none', '\\x1b[2J')", 2, "\u241b[2J: none"),
        # What a signal becomes inside a library may be another error.
        ("try: os.kill(os.getpid(), 2); time.sleep(9)\n    except BaseException: 1 / 0", 130, ""),
    ],
)
def test_whatever_else_ends_it_is_a_fault(body: str, code: int, says: str) -> None:
    done = ended(body, 0, stdout=subprocess.PIPE)
    assert done.returncode == code
    assert says in done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("group", [False, True])
def test_signals(number: signal.Signals, group: bool) -> None:
    """To the process alone, as from a scheduler, or to all, as from a terminal."""
    body = "print('there', flush=True); time.sleep(60)"
    program = GUARDED.format(body=body, code=0)
    with subprocess.Popen(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        (os.killpg if group else os.kill)(process.pid, number)
        assert process.wait(30) == 128 + number


def test_killing_the_process_kills_what_it_does(tmp_path: Path) -> None:
    beat = tmp_path / "beat"
    body = f"[(open({str(beat)!r}, 'a').write('x'), time.sleep(0.02)) for _ in range(3000)]"
    program = GUARDED.format(body=body, code=0)
    with subprocess.Popen([sys.executable, "-c", program]) as process:  # noqa: S603 - see above
        deadline = time.monotonic() + 30
        while not beat.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.kill()
    if sys.platform == "linux":
        time.sleep(0.3)
        before = beat.stat().st_size
        time.sleep(0.3)
        assert beat.stat().st_size == before


def test_output_that_nobody_takes_is_no_success() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert ended("print('x' * 99)", 0, stdout=writing).returncode == 2
    finally:
        os.close(writing)
    if Path("/dev/full").exists():
        with Path("/dev/full").open("w") as full:
            assert ended("print('x')", 0, stdout=full).returncode == 2


def test_a_character_that_cannot_be_shown_is_shown_otherwise() -> None:
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = ended("print('\\u2713 \\xe9')", 1, stdout=subprocess.PIPE, env=ascii_only)
    assert (done.returncode, done.stdout) == (1, "\\u2713 \\xe9\n")


@pytest.mark.parametrize("usage", [[], ["gate"], ["nonsense"], ["gate", "a", "--out", "b", "--no"]])
def test_wrong_usage_is_a_fault(usage: list[str]) -> None:
    done = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-m", "synflaw_audit", *usage], capture_output=True, check=False
    )
    assert done.returncode == 2


def test_the_guard_imports_nothing_that_could_fail() -> None:
    code = (
        "import sys; before = set(sys.modules); import synflaw_audit.__main__\n"
        "print(*sorted({m.partition('.')[0] for m in set(sys.modules) - before}"
        " - sys.stdlib_module_names))"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["synflaw_audit"]


def test_too_little_address_space_is_said_and_nothing_hangs() -> None:
    limited = "import resource; resource.setrlimit(resource.RLIMIT_AS, (700 << 20, 700 << 20))\n"
    code = limited + GUARDED.format(body="print('there')", code=0)
    done = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "limited to 700 MB (ulimit -v)" in done.stderr
    assert "there" not in done.stdout
