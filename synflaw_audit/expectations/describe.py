"""The expectations described for programs: the catalogue, a JSON Schema each, and a skill.

Great Expectations describes its own expectations to coding agents in ``index.json`` and one schema
a class, and installs skills that say how to use them. Ours have the same form. They are generated
from the checks and the classes, so that there is nothing to keep in step.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from synflaw_audit.expectations import classes
from synflaw_audit.expectations.base import DATA_QUALITY_ISSUES, DATA_SOURCES, AuditExpectation
from synflaw_audit.expectations.classes import CheckExpectation

SKILL = "synflaw-configure-expectations"
# Where agents look for skills in a project; Great Expectations installs its own in the same two.
SKILL_FOLDERS = (".agents/skills", ".claude/skills")


@dataclass(frozen=True)
class Entry:
    """One expectation.

    Attributes:
        class_name: Its class in ``synflaw_audit.expectations``.
        expectation_type: Its name in stored suites.
        short_description: What must hold.
        recommended: The threshold that ``recommended()`` writes out; "" where it has none.
        schema: JSON Schema of its arguments.
    """

    class_name: str
    expectation_type: str
    short_description: str
    recommended: str
    schema: dict[str, Any]


def expectation_classes() -> list[type[AuditExpectation]]:
    """Every expectation, those over all checks first."""
    made = [c for c in vars(classes).values() if isinstance(c, type)]
    ours = [c for c in made if issubclass(c, AuditExpectation) and c.expectation_type]
    return sorted(ours, key=lambda c: (issubclass(c, CheckExpectation), c.__name__))


def entries() -> list[Entry]:
    """The description of every expectation."""
    return [_entry(expectation) for expectation in expectation_classes()]


def catalogue() -> dict[str, Any]:
    """All of them in the form of Great Expectations' ``index.json``, with the schemas inside."""
    return {
        "module": "synflaw_audit.expectations",
        "expectations": {
            entry.expectation_type: {
                "class_name": entry.class_name,
                "short_description": entry.short_description,
                "data_quality_issues": list(DATA_QUALITY_ISSUES),
                "supported_data_sources": list(DATA_SOURCES),
                "recommended": entry.recommended,
                "schema": entry.schema,
            }
            for entry in entries()
        },
    }


def install_skill(project: Path) -> list[Path]:
    """Write the skill and the catalogue into a project; replaces only what it wrote before.

    Returns:
        The files written.
    """
    text = files("synflaw_audit.expectations").joinpath("SKILL.md").read_text(encoding="utf-8")
    written: list[Path] = []
    for folder in SKILL_FOLDERS:
        target = project / folder / SKILL
        target.mkdir(parents=True, exist_ok=True)
        for name, content in (
            ("SKILL.md", text),
            ("catalogue.json", json.dumps(catalogue(), indent=2) + "\n"),
        ):
            (target / name).write_text(content, encoding="utf-8")
            written.append(target / name)
    return written


def _entry(expectation: type[AuditExpectation]) -> Entry:
    schema = json.loads(expectation.schema_json())
    schema.pop("description", None)
    return Entry(
        class_name=expectation.__name__,
        expectation_type=expectation.expectation_type,
        short_description=expectation.short_description(),
        recommended=_recommended(expectation),
        schema=schema,
    )


def _recommended(expectation: type[AuditExpectation]) -> str:
    if issubclass(expectation, CheckExpectation):
        return f"max_score={expectation.check().fail_above:g}"
    limits = expectation is classes.ExpectSynflawFormatUniformityToBeWithinLimits
    return "max_scores of every check" if limits else ""
