"""A policy that would allow what an audit found, for a person to prune."""

from __future__ import annotations

import json
from collections.abc import Iterator

from synflaw_audit.allowed.formats import KINDS, SLOT
from synflaw_audit.findings.report import Report, TemplateSummary

_HEAD = """\
# What the audit found in the answers, as a policy would allow it. Nothing is allowed yet: keep the
# formats that are intended, take the marks off their lines, and say why in the reason. Their words
# are then taken out before anything is measured, and the rest of the answers is judged as ever.
"""


def suggested(report: Report) -> str:
    """The text of the policy: TOML, every format in it commented out."""
    lines = [_HEAD]
    if any(field.name == "reasoning" and field.verdict == "fail" for field in report.fields):
        lines += ["# The reasoning fails by itself.", '# reasoning = "warn"', ""]
    seen: set[str] = set()
    for template in report.templates:
        if template.id.startswith("A"):
            for said, key, value in _formats(template):
                if value not in seen:
                    seen.add(value)
                    quoted = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
                    lines += [
                        f"# {said}",
                        "# [[allow]]",
                        f"# {key} = {quoted}",
                        '# reason = ""',
                        "",
                    ]
    if not seen:
        lines.append("# No template was found in the answers.\n")
    return "\n".join(lines)


def _formats(template: TemplateSummary) -> Iterator[tuple[str, str, str]]:
    """What might be allowed: a remark, the key, and its value."""
    for kind, find in KINDS.items():
        if template.examples and all(find(example.text) for example in template.examples):
            yield f"{template.share:.1%} of the answers are like these.", "kind", kind
    if template.pattern.replace(SLOT, "").strip():
        yield (
            f"{template.share:.1%} of the answers follow {template.id}.",
            "pattern",
            template.pattern,
        )
    if template.kind == "family":
        for variant in template.variants:
            if variant.pattern.replace(SLOT, "").strip():
                share = f"{variant.share:.1%} of the answers are worded like this."
                yield share, "pattern", variant.pattern
