"""The checks: one TOML file each, read strictly.

A check is policy, not code: which measure with which parameters, above which score it warns and
fails, what that does to a model, what to do, the evidence, and examples that run as tests. A
user's own pack (``--checks DIR``) goes through the same loader and executes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from msgspec import Meta

from synflaw_audit import strict_toml
from synflaw_audit.errors import CatalogueError, SynflawError
from synflaw_audit.findings.finding import Action, Advice, Near, Status, Text
from synflaw_audit.measures import MEASURES

Expectation = Literal["pass", "warn", "fail", "undecided"]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1)]

_CODE = re.compile(r"SF[0-9]{3}")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")


@dataclass(frozen=True)
class Evidence:
    """One claim that a check rests on.

    Attributes:
        claim: What was found, with its figures.
        source: Who found it: a paper, a repository, a benchmark of this project.
        reproduced: Whether this project measured it again.
        where: The file under ``benchmarks/`` that did; needed when ``reproduced``.
    """

    claim: Text
    source: Text
    reproduced: bool
    where: str = ""


@dataclass(frozen=True)
class CheckExampleRow:
    """One question and its answer.

    Attributes:
        question: What was asked.
        answer: What was said.
        format: The words of the answer that the check marks as format, in the order in which they
            stand there. If any row of an example names some, those of all rows are tested.
    """

    question: str
    answer: str
    format: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckExample:
    """A small corpus and the verdict the check must give on it; run as a test.

    Attributes:
        expect: The verdict.
        rows: The corpus.
        note: What the example shows.
        min_records: Used instead of the check's own, so that a readable handful of rows can be
            judged. The thresholds stay the check's.
        reference: The corpus to compare with, for a check that needs one.
    """

    expect: Expectation
    rows: tuple[CheckExampleRow, ...]
    note: str = ""
    min_records: Count | None = None
    reference: tuple[CheckExampleRow, ...] = ()


@dataclass(frozen=True)
class Kind:
    """A small corpus of rows whose form may be intended, such as code or JSON.

    Attributes:
        note: Why checks find it, and when that is no flaw.
        rows: The corpus.
    """

    note: Text
    rows: tuple[CheckExampleRow, ...]


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        code: ``SF`` and three digits; never reused for something else.
        name: The file's stem, lower case with hyphens.
        title: The finding in one line, as a reader of the report sees it.
        measure: A key of ``synflaw_audit.measures.MEASURES``.
        params: The measure's parameters; those left out keep the measure's defaults.
        warn_above: A score above it is a warning.
        fail_above: A score whose interval is above it is a failure; not below ``warn_above``.
        near: What a score comes to whose interval holds ``fail_above``.
        min_records: With fewer records the verdict is "undecided".
        status: "stable" only with evidence that this project reproduced.
        since: The version that first shipped the check.
        default: Whether it runs where nobody asks for it by name. What measurement speaks against
            stays available, and colours no verdict unasked.
        why: What the flaw does to a model.
        advice: What to do about it, the best first; no action twice.
        evidence: What the check rests on.
        known_false_positives: The verdict that it gives on kinds of corpora whose form may be
            intended, by the name of the kind: a corpus in the pack's folder ``kinds``.
        examples: Corpora with their verdicts, at least one "pass" and one "fail".
    """

    code: str
    name: str
    title: Text
    measure: str
    warn_above: Fraction
    fail_above: Fraction
    min_records: Count
    status: Status
    since: str
    why: Text
    advice: tuple[Advice, ...]
    default: bool = True
    near: Near = "warn"
    params: dict[str, Any] = field(default_factory=dict, hash=False)
    evidence: tuple[Evidence, ...] = ()
    known_false_positives: dict[str, Literal["warn", "fail"]] = field(
        default_factory=dict, hash=False
    )
    examples: tuple[CheckExample, ...] = ()


def load_checks(
    extra: Path | None = None,
    *,
    bundled: Path | None = None,
) -> tuple[Check, ...]:
    """Load the shipped checks and a user's own.

    A check in ``extra`` with the code *and* the name of a shipped one replaces it: that is how a
    pack changes a threshold. Sharing only one of the two is an error, since it is a slip.

    Args:
        extra: A directory of ``*.toml`` check files.
        bundled: The directory of the shipped checks; found by itself if not given.

    Returns:
        The checks, sorted by code.

    Raises:
        CatalogueError: A directory or file is not valid; the message names file, key and choices.
    """
    shipped = load_directory(bundled or bundled_directory())
    if extra is None:
        return shipped
    own = load_directory(extra)
    kept = []
    for check in shipped:
        rival = next((c for c in own if c.code == check.code or c.name == check.name), None)
        if rival is None:
            kept.append(check)
        elif (rival.code, rival.name) != (check.code, check.name):
            raise CatalogueError(
                f"{extra / rival.name}.toml: {rival.code} {rival.name!r} collides with the shipped "
                f"{check.code} {check.name!r}. To replace that check keep both its code and its "
                "name; to add one choose a code and a name of its own"
            )
    return tuple(sorted([*kept, *own], key=lambda check: check.code))


def load_directory(directory: Path) -> tuple[Check, ...]:
    """Load every ``*.toml`` of a directory, sorted by code.

    Raises:
        CatalogueError: The directory does not exist or holds no check, a file is not valid, or two
            files share a code.
    """
    if not directory.is_dir():
        raise CatalogueError(f"{directory}: not a directory of checks")
    files = sorted(directory.glob("*.toml"))
    if not files:
        raise CatalogueError(f"{directory}: holds no check (*.toml)")
    by_code: dict[str, Check] = {}
    for file in files:
        check = load_check(file)
        if check.code in by_code:
            other = by_code[check.code].name
            raise CatalogueError(f"{file}: code: {check.code} is already used by {other}.toml")
        by_code[check.code] = check
    return tuple(by_code[code] for code in sorted(by_code))


def load_check(file: Path) -> Check:
    """Load one check file.

    Raises:
        CatalogueError: The file is not valid; the message names file, key and choices.
    """
    check = strict_toml.load(file, Check, lists={"example": "examples"})
    for key, problem in _problems(check, file):
        raise CatalogueError(f"{file}: {key}: {problem}")
    _check_params(check, file)
    return check


def load_kinds(directory: Path | None = None) -> dict[str, Kind]:
    """The corpora of a pack's folder ``kinds``, by their names; the shipped ones if not given.

    Raises:
        CatalogueError: A file is not valid; the message names file and key.
    """
    folder = (directory or bundled_directory()) / "kinds"
    return {file.stem: strict_toml.load(file, Kind) for file in sorted(folder.glob("*.toml"))}


def find_check(checks: tuple[Check, ...], wanted: str) -> Check:
    """The check with this code or name, whatever the case.

    Raises:
        CatalogueError: There is none; the message names the nearest and all.
    """
    for check in checks:
        if wanted.upper() == check.code or wanted.lower() == check.name:
            return check
    known = [label for check in checks for label in (check.code, check.name)]
    raise CatalogueError(strict_toml.unknown("check", wanted, known))


def defaults(checks: Sequence[Check]) -> tuple[Check, ...]:
    """The checks that run where nobody asks for one by name."""
    return tuple(check for check in checks if check.default)


def selected(checks: tuple[Check, ...], wanted: str | None) -> tuple[Check, ...]:
    """The checks whose codes or names stand in a list with commas; ``defaults`` without a list.

    What no check asks for is not computed. A check that was asked for runs, whatever its default.

    Raises:
        CatalogueError: As ``find_check``.
    """
    if wanted is None:
        return defaults(checks)
    chosen = {find_check(checks, label.strip()) for label in wanted.split(",")}
    return tuple(replace(check, default=True) for check in checks if check in chosen)


def bundled_directory() -> Path:
    """Where the shipped checks lie: in the package, or in the checkout it was imported from.

    Raises:
        CatalogueError: Neither is there, so the installation is incomplete.
    """
    package = Path(__file__).parent.parent
    installed, checkout = package / "_checks", package.parent / "checks"
    if installed.is_dir():
        return installed
    # Anyone's own folder may be called "checks"; the project file beside it says that it is ours.
    if checkout.is_dir() and (package.parent / "pyproject.toml").is_file():
        return checkout
    raise CatalogueError(f"{installed}: the shipped checks are missing; reinstall synflaw-audit")


def _problems(check: Check, file: Path) -> Iterator[tuple[str, str]]:
    """What the schema alone cannot say, as (key, problem)."""
    if not _CODE.fullmatch(check.code):
        yield "code", f"{check.code!r} is not SF and three digits"
    if not _NAME.fullmatch(check.name):
        yield "name", f"{check.name!r} is not lower case words joined by hyphens"
    if check.name != file.stem:
        yield "name", f"{check.name!r} differs from the file's stem {file.stem!r}"
    if not _VERSION.fullmatch(check.since):
        yield "since", f"{check.since!r} is not a version such as '0.1.0'"
    if check.warn_above > check.fail_above:
        yield "warn_above", f"{check.warn_above} is above fail_above, {check.fail_above}"
    for number, evidence in enumerate(check.evidence, 1):
        if evidence.reproduced and not evidence.where.strip():
            yield f"evidence {number}", "reproduced = true needs 'where', the file that measured it"
    if check.status == "promoted":
        yield "status", "only a policy promotes a check; choices: 'experimental', 'stable'"
    if check.status == "stable" and not any(e.reproduced for e in check.evidence):
        yield "status", "'stable' needs evidence with reproduced = true; else 'experimental'"
    actions = [advice.action for advice in check.advice]
    if not actions:
        yield "advice", f"none given; choices of action: {', '.join(get_args(Action))}"
    for number, action in enumerate(actions, 1):
        if action in actions[: number - 1]:
            yield f"advice {number}", f"{action!r} is advised already; say it in one text"
    # A pack that replaces a shipped check names the shipped kinds, and may have kinds of its own.
    folders = (file.parent / "kinds", bundled_directory() / "kinds")
    kinds = sorted({each.stem for folder in folders for each in folder.glob("*.toml")})
    for kind in check.known_false_positives:
        if kind not in kinds:
            yield "known_false_positives", strict_toml.unknown("kind", kind, kinds)
    yield from _example_problems(check)


def _example_problems(check: Check) -> Iterator[tuple[str, str]]:
    expected = {example.expect for example in check.examples}
    for kind in ("pass", "fail"):
        if kind not in expected:
            yield (
                "example",
                f"none has expect = {kind!r}; a check needs a passing and a failing one",
            )
    for number, example in enumerate(check.examples, 1):
        needed = example.min_records or check.min_records
        if not example.rows:
            yield f"example {number}", "has no rows"
        if example.expect != "undecided" and len(example.rows) < needed:
            yield (
                f"example {number}",
                f"expects {example.expect!r} of {len(example.rows)} rows where {needed} are needed "
                "to decide; add rows or set the example's own min_records",
            )


def _check_params(check: Check, file: Path) -> None:
    try:
        measure = MEASURES.find(check.measure)
    except SynflawError as error:
        raise CatalogueError(f"{file}: measure: {error}") from error
    known = [param.name for param in fields(measure) if param.init]  # type: ignore[arg-type]
    for name in check.params:
        if name not in known:
            problem = strict_toml.unknown(f"parameter of {check.measure!r}", name, known)
            raise CatalogueError(f"{file}: params: {problem}")
    # Constructing it also runs the measure's own validation of its parameters.
    strict_toml.convert(check.params, measure, file, inside="params")
