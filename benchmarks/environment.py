"""What a committed result says of how it came about."""

from __future__ import annotations

import os
import platform
import subprocess
import sys


def heading(command: str) -> str:
    """The command, the commit and the machine, as the first lines of a result in Markdown."""
    return f"`python {command}` at commit {commit()}, on {machine()}\n"


def commit() -> str:
    """The commit of the code, and whether it was changed since."""
    git = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(git, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603


def machine() -> str:
    """Processor, cores, Python, and the GPU where torch was loaded and sees one."""
    torch = sys.modules.get("torch")
    gpu = f", {torch.cuda.get_device_name()}" if torch and torch.cuda.is_available() else ""
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}{gpu}"
