"""The page of all commands says of each what its own page begins with, and imports none of them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from synflaw_audit.commands.main import COMMANDS, app, loaded


@pytest.mark.parametrize("name", COMMANDS)
def test_a_summary_is_what_the_command_says_of_itself(name: str) -> None:
    command = loaded(name)
    assert command.name == name
    assert " ".join(command.help.partition("\n\n")[0].split()) == COMMANDS[name]


def test_a_misspelt_command_is_named_with_the_nearest() -> None:
    done = CliRunner().invoke(app, ["audti", "corpus.jsonl"])
    assert done.exit_code == 2
    assert "Did you mean 'audit'?" in done.output


def test_the_page_of_all_commands_imports_none_of_them() -> None:
    code = (
        "import sys\nfrom synflaw_audit.commands.main import run\n"
        "sys.argv = ['synflaw', '--help']\nrun()\n"
        "print(*[name for name in sys.modules if name.startswith('synflaw_audit.commands.')])"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    names = {name.rpartition(".")[2] for name in done.stdout.splitlines()[-1].split()}
    assert names == {"main", "guard"}
