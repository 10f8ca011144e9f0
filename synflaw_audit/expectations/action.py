"""A checkpoint action that leaves what the audit found where the repair takes it up.

One folder a validation, written under a temporary name and moved into place, so that nobody sees
half of it and two checkpoints that run at once do not meet:

    <directory>/<suite>/<asset>/<run time>-<random>/flagged.parquet   schema records.FLAGGED
                                                    report.html
                                                    report.json
                                                    manifest.json
    <directory>/<suite>/<asset>/latest                                a link to the newest

It also guards the run: a suite that lost expectations of ours fails it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from synflaw_audit.expectations import subset as subsets
from synflaw_audit.expectations.compat import (
    ActionContext,
    CheckpointResult,
    ValidationAction,
    installed_version,
    project_manager,
    pydantic,
)
from synflaw_audit.expectations.errors import LostExpectationsError
from synflaw_audit.expectations.runs import META, RECENT, Outcome
from synflaw_audit.expectations.store import TYPE_PREFIX, count_stored, project_root, raw_suite
from synflaw_audit.report import render_html

ACTION_TYPE = "synflaw_write_flagged_subset"
MANIFEST_VERSION = 1


class WriteFlaggedSubsetAction(ValidationAction):
    """Write the flagged rows, the report and a manifest of every validation of a checkpoint.

    Args:
        name: Of the action, as in every action of Great Expectations.
        directory: Where to write; created if need be. Relative to the project's folder where there
            is one, else to the working directory.
        min_expectations: A run fails when it evaluated fewer expectations of ours for a suite, even
            if the suite's file, too, has lost them.

    Raises:
        LostExpectationsError: From ``run``, after everything was written.
    """

    type: Literal["synflaw_write_flagged_subset"] = ACTION_TYPE  # type: ignore[assignment]
    directory: str = "synflaw"
    min_expectations: int = pydantic.Field(1, ge=0)

    def run(
        self, checkpoint_result: CheckpointResult, action_context: ActionContext | None = None
    ) -> dict[str, Any]:
        """Write one folder a validation result; then fail if expectations went missing."""
        written: dict[str, Any] = {}
        lost: list[str] = []
        for identifier, result in checkpoint_result.run_results.items():
            evaluated = [r for r in result.results if _is_ours(r)]
            lost.extend(self._lost(result.suite_name, len(evaluated)))
            folder = self._root() / _slug(result.suite_name) / _slug(_asset(result))
            manifest = _manifest(checkpoint_result, result, evaluated)
            path = _write(folder, manifest, _outcomes(evaluated))
            written[str(identifier)] = {**manifest["flagged"], "directory": str(path)}
        if lost:
            raise LostExpectationsError("; ".join(lost))
        return written

    def _store(self) -> Any:
        """The suites' store of the checkpoint's project; the current one's in older releases."""
        context = getattr(self, "_data_context", None)
        if context is not None:
            return context.expectations_store
        return project_manager.get_expectations_store()

    def _root(self) -> Path:
        return (project_root(self._store()) or Path()) / self.directory

    def _lost(self, suite: str, evaluated: int) -> Iterator[str]:
        """What is wrong with the number of expectations evaluated, if anything."""
        stored = raw_suite(self._store(), suite)
        wanted = max(count_stored(stored) if stored else 0, self.min_expectations)
        if evaluated < wanted:
            yield (
                f"suite {suite!r}: {evaluated} synflaw expectations were evaluated, {wanted} were "
                "stored or asked for (min_expectations). The run is not to be trusted; "
                "see `synflaw gx doctor`"
            )


def _is_ours(result: Any) -> bool:
    return str(result.expectation_config.type).startswith(TYPE_PREFIX)


def _outcomes(evaluated: list[Any]) -> list[Outcome]:
    """The audits behind the results, each once, in the order of the results."""
    ids = dict.fromkeys((result.meta or {}).get(META) for result in evaluated)
    found = [RECENT.find(identity) for identity in ids if identity]
    return [outcome for outcome in found if outcome is not None]


def _asset(result: Any) -> str:
    definition = (result.meta or {}).get("active_batch_definition") or {}
    return str(definition.get("data_asset_name") or "batch")


def _slug(name: str) -> str:
    """A name as one path component."""
    return re.sub(r"[^\w.-]+", "_", name).lstrip(".") or "_"


def _manifest(checkpoint: CheckpointResult, result: Any, evaluated: list[Any]) -> dict[str, Any]:
    outcomes = _outcomes(evaluated)
    return {
        "manifest_version": MANIFEST_VERSION,
        "run_id": {
            "run_name": checkpoint.run_id.run_name,
            "run_time": checkpoint.run_id.run_time.isoformat(),
        },
        "checkpoint": checkpoint.checkpoint_config.name,
        "suite": result.suite_name,
        "batch": {
            "id": result.batch_id,
            "definition": dict((result.meta or {}).get("active_batch_definition") or {}),
        },
        "success": bool(result.success),
        "expectations": [
            {
                "type": r.expectation_config.type,
                "id": r.expectation_config.id,
                "success": bool(r.success),
                "severity": str(getattr(r.expectation_config.severity, "value", "")),
                "observed_value": (r.result or {}).get("observed_value"),
            }
            for r in evaluated
        ],
        "flagged": {
            "records": sum(o.subset.records for o in outcomes if o.subset),
            "audited": sum(o.report.dataset.records for o in outcomes if o.report),
        },
        "audits": [
            {"id": o.id, "passes": o.passes, "error": o.failure.message if o.failure else None}
            for o in outcomes
        ],
        "versions": {"great_expectations": installed_version()},
    }


def _write(folder: Path, manifest: dict[str, Any], outcomes: list[Outcome]) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    final = folder / f"{stamp}-{uuid.uuid4().hex[:8]}"
    with _appearing(final) as temporary:
        found = [outcome.subset for outcome in outcomes if outcome.subset is not None]
        subsets.write(temporary / "flagged.parquet", found)
        reports = [outcome.report for outcome in outcomes if outcome.report is not None]
        for number, report in enumerate(reports, 1):
            name = "report" if number == 1 else f"report-{number}"
            (temporary / f"{name}.html").write_text(render_html(report), encoding="utf-8")
            (temporary / f"{name}.json").write_text(report.to_json(), encoding="utf-8")
        (temporary / "manifest.json").write_text(json.dumps(manifest, indent=2), encoding="utf-8")
    _point(folder / "latest", final.name)
    return final


@contextmanager
def _appearing(final: Path) -> Iterator[Path]:
    """A folder to fill that takes its name only when it is complete."""
    temporary = final.with_name(f".{final.name}.part")
    temporary.mkdir(parents=True)
    try:
        yield temporary
        temporary.rename(final)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _point(link: Path, target: str) -> None:
    """Make the link point to the target, in one step."""
    temporary = link.with_name(f".latest-{os.getpid()}-{uuid.uuid4().hex[:8]}")
    temporary.symlink_to(target, target_is_directory=True)
    temporary.replace(link)
