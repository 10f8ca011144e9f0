"""Our own forms pass the suite that another package's are held to."""

from __future__ import annotations

from collections.abc import Callable

from synflaw_audit.forms.registry import FORMS, form
from synflaw_audit.testing import parametrize_with_checks
from synflaw_audit.testing.forms import FormExample

PARAMETERS = {"json": "answer", "postscript": "P.S. Hm.", "ending": "So long.", "opening": "Sure"}


@parametrize_with_checks(
    "form", [FormExample(form(name), PARAMETERS.get(name, "")) for name in FORMS.own]
)
def test_forms(part: FormExample, check: Callable[[FormExample], None]) -> None:
    check(part)
