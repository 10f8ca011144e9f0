"""The core is light: what belongs to an extra is imported by whoever uses the extra."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "torch",
    "transformers",
    "sentence_transformers",
    "great_expectations",
    "pyspark",
    "matplotlib",
    "datasets",
)

RUN = """
import sys
from synflaw_audit.commands.main import run
sys.argv = ["synflaw", *{arguments}]
code = run()
assert not code, code
"""


@pytest.mark.parametrize(
    "code",
    [
        "import synflaw_audit",
        "import synflaw_audit.report, synflaw_audit.verdicts.gate, synflaw_audit.verdicts.judge",
        "from synflaw_audit.testing import engines, forms, measures, readers, schemas",
        RUN.format(arguments=["--help"]),
        RUN.format(arguments=["--version"]),
        RUN.format(arguments=["checks", "list"]),
        RUN.format(arguments=["explain", "SF101"]),
        *(RUN.format(arguments=[c, "--help"]) for c in ("audit", "gate", "repair", "demo", "gx")),
    ],
    ids=lambda code: code.partition("[")[2].partition("]")[0] or code,
)
def test_nothing_heavy_is_imported(code: str) -> None:
    shown = f"{code}\nimport sys\nprint('\\nLOADED', *[m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", shown], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split() == ["LOADED"]


@pytest.mark.parametrize(
    "code",
    [
        "import synflaw_audit",
        RUN.format(arguments=["--version"]),
        *(RUN.format(arguments=[*c, "--help"]) for c in ([], ["audit"], ["gate"], ["repair"])),
    ],
    ids=lambda code: code.partition("[")[2].partition("]")[0] or code,
)
def test_what_computes_nothing_imports_nothing_to_compute_with(code: str) -> None:
    computing = ("numpy", "numba", "pyarrow", "scipy", "pandas")
    shown = f"{code}\nimport sys\nprint('\\nLOADED', *[m for m in {computing} if m in sys.modules])"
    done = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", shown], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split() == ["LOADED"]


def test_an_audit_needs_no_extra(tmp_path: Path) -> None:
    """It runs where none of the extras can be imported."""
    code = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {[name for name in HEAVY if name != "datasets"]}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
import pandas, synflaw_audit
from synflaw_audit.report import render_html, render_markdown

rows = [(f"q{{i}}", f"It is {{i * 7919}}.") for i in range(80)]
report = synflaw_audit.audit(pandas.DataFrame(rows, columns=["question", "answer"]))
render_html(report), render_markdown(report), report.to_json(), report.flagged()
print(report.dataset.records)
"""
    done = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "80"
