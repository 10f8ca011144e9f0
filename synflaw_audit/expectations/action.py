"""A checkpoint action that leaves what the audit found where the repair takes it up.

One folder a validation, see ``folders``. It also guards the run: a suite that lost expectations of
ours, rows that are not there to be written, and a result that another has replaced fail it. What it
finds amiss is first recorded in the results, then the checkpoint's other actions run, and then it
is raised: the worst runs are those that somebody must be called for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from synflaw_audit.expectations import folders
from synflaw_audit.expectations.compat import (
    ActionContext,
    CheckpointResult,
    ExpectationConfiguration,
    ExpectationValidationResult,
    ValidationAction,
    installed_version,
    project_manager,
    pydantic,
)
from synflaw_audit.expectations.errors import (
    ActionError,
    LostExpectationsError,
    LostResultError,
    LostRowsError,
)
from synflaw_audit.expectations.runs import META, AuditId, AuditOutcome
from synflaw_audit.expectations.store import count_stored, is_ours, project_root, raw_suite

ACTION_TYPE = "synflaw_write_flagged_subset"


class WriteFlaggedSubsetAction(ValidationAction):
    """Write the flagged rows, the report and a manifest of every validation of a checkpoint.

    Args:
        name: Of the action, as in every action of Great Expectations.
        directory: Where to write; created if need be. Relative to the project's folder where there
            is one, else to the working directory.
        min_expectations: A run fails when it evaluated fewer expectations of ours, even if the
            suites' files, too, have lost them: in all, or by the name of the suite.

    Raises:
        ActionError: From ``run``, after everything that can be was written, what is wrong stands in
            the results, and the checkpoint's later actions have run.
    """

    type: Literal["synflaw_write_flagged_subset"] = ACTION_TYPE  # type: ignore[assignment]
    directory: str = "synflaw"
    min_expectations: int | dict[str, int] = 1

    @pydantic.validator("min_expectations")
    def _not_negative(cls, value: int | dict[str, int]) -> int | dict[str, int]:
        for number in value.values() if isinstance(value, dict) else [value]:
            if number < 0:
                raise ValueError(f"min_expectations cannot be {number}")
        return value

    def run(
        self, checkpoint_result: CheckpointResult, action_context: ActionContext | None = None
    ) -> dict[str, Any]:
        """Write one folder a validation result; then fail if anything went missing."""
        written: dict[str, Any] = {}
        errors: list[Exception] = []
        for identifier, result in checkpoint_result.run_results.items():
            evaluated = [r for r in result.results if is_ours(str(r.expectation_config.type))]
            wrong = list(self._lost(result.suite_name, len(evaluated)))
            if evaluated:
                try:
                    said = self._write(checkpoint_result, result, evaluated)
                    written[str(identifier)] = said
                    wrong.extend(_missing(result.suite_name, evaluated))
                except Exception as failure:  # the other validations are to be written nevertheless
                    wrong.append(failure)
            if wrong:
                _record(result, wrong)
            errors.extend(wrong)
        overall = [*self._too_few(checkpoint_result), *_replaced(checkpoint_result)]
        if overall:
            _record(next(iter(checkpoint_result.run_results.values())), overall)
        errors.extend(overall)
        if errors:
            checkpoint_result.success = False
            self._run_later(checkpoint_result, action_context, errors)
            raise _joined(errors) from errors[0]
        return written

    def _write(self, checkpoint: CheckpointResult, result: Any, evaluated: list[Any]) -> Any:
        outcomes = _outcomes(evaluated)
        place = folders.ValidationFolder.of(result.suite_name, _definition(result))
        manifest = _manifest(checkpoint, result, evaluated, outcomes)
        path = folders.write(place.below(self._root()), manifest, outcomes)
        return {**manifest["flagged"], "directory": str(path)}

    def _store(self) -> Any:
        """The suites' store of the checkpoint's project; the current one's in older releases."""
        context = getattr(self, "_data_context", None)
        if context is not None:
            return context.expectations_store
        return project_manager.get_expectations_store()

    def _root(self) -> Path:
        return (project_root(self._store()) or Path()) / self.directory

    def _lost(self, suite: str, evaluated: int) -> Iterator[Exception]:
        """What is wrong with the number of expectations evaluated of a suite, if anything."""
        stored = raw_suite(self._store(), suite)
        asked = (
            self.min_expectations.get(suite, 0) if isinstance(self.min_expectations, dict) else 0
        )
        wanted = max(count_stored(stored) if stored else 0, asked)
        if evaluated < wanted:
            yield LostExpectationsError(
                f"suite {suite!r}: {evaluated} synflaw expectations were evaluated, {wanted} were "
                "stored or asked for (min_expectations). The run is not to be trusted; "
                "see `synflaw gx doctor`"
            )

    def _too_few(self, checkpoint: CheckpointResult) -> Iterator[Exception]:
        """What is wrong with the number evaluated in all, or with the suites asked for."""
        suites = {result.suite_name: result for result in checkpoint.run_results.values()}
        if isinstance(self.min_expectations, dict):
            for suite in sorted(set(self.min_expectations) - set(suites)):
                yield LostExpectationsError(
                    f"min_expectations names suite {suite!r}, which the checkpoint did not run; it "
                    f"ran {', '.join(map(repr, suites))}"
                )
            return
        evaluated = sum(
            is_ours(str(r.expectation_config.type))
            for result in checkpoint.run_results.values()
            for r in result.results
        )
        if evaluated < self.min_expectations:
            yield LostExpectationsError(
                f"{evaluated} synflaw expectations were evaluated in the checkpoint, "
                f"min_expectations is {self.min_expectations}. The run is not to be trusted; "
                "see `synflaw gx doctor`"
            )

    def _run_later(
        self,
        checkpoint: CheckpointResult,
        action_context: ActionContext | None,
        errors: list[Exception],
    ) -> None:
        """Runs the actions after this one, which Great Expectations will not: it stops at an error.

        Whether a pager fires is decided by these, so they see the failure in the results.
        """
        if action_context is None:  # this action was called by hand, not by a checkpoint
            return
        actions = checkpoint.checkpoint_config._sort_actions()
        own = next((n for n, action in enumerate(actions) if action is self), len(actions))
        for action in actions[own + 1 :]:
            if any(done is action for done, _ in action_context.data):
                continue
            if "_data_context" in getattr(action, "__private_attributes__", {}):
                action._data_context = getattr(self, "_data_context", None)
            try:
                action_context.update(
                    action, action.run(checkpoint_result=checkpoint, action_context=action_context)
                )
            except Exception as error:  # it, too, must not keep the others from running
                errors.append(error)


def _outcomes(evaluated: list[Any]) -> list[AuditOutcome]:
    """The audits behind the results, each once; those of all rows before those of some."""
    ids = [(result.meta or {}).get(META) for result in evaluated]
    found = {identity: identity.outcome for identity in ids if isinstance(identity, AuditId)}
    return sorted(found.values(), key=lambda outcome: bool(outcome.condition))


def _missing(suite: str, evaluated: list[Any]) -> Iterator[Exception]:
    """What results say is flagged and is not there."""
    lost = sum(not _has_rows(result) for result in evaluated)
    if lost:
        yield LostRowsError(
            f"suite {suite!r}: {lost} results name an audit, or flagged rows, that this process "
            "does not hold. The action must run in the process that validated, on its results"
        )


def _has_rows(result: Any) -> bool:
    identity = (result.meta or {}).get(META)
    if not isinstance(identity, AuditId):
        return False
    subset = identity.outcome.subset
    said = int((result.result or {}).get("unexpected_count") or 0)
    return said <= (subset.records if subset else 0)


def _replaced(checkpoint: CheckpointResult) -> Iterator[Exception]:
    """Validations whose result Great Expectations overwrote: it keeps one a suite and batch id."""
    definitions = checkpoint.checkpoint_config.validation_definitions
    if len(definitions) <= len(checkpoint.run_results):
        return
    sharing = Counter((d.suite.name, d.asset.datasource.name, d.asset.name) for d in definitions)
    for (suite, source, asset), number in sharing.items():
        if number > 1:
            yield LostResultError(
                f"{number} validations of suite {suite!r} are of the asset {asset!r} of "
                f"{source!r}, and Great Expectations keeps the result of the last of them alone, "
                "because batches of one asset may have one id. Give each an asset, or a "
                "checkpoint, of its own"
            )


def _record(result: Any, errors: list[Exception]) -> None:
    """Puts what is wrong into the results of a validation, as critical failures."""
    for error in errors:
        info = {
            "raised_exception": True,
            "exception_message": str(error),
            "exception_traceback": "",
        }
        failed = ExpectationValidationResult(
            success=False,
            expectation_config=ExpectationConfiguration(type=ACTION_TYPE, kwargs={}),
            result={},
            exception_info=info,
        )
        result.results.append(failed)
        result.success = False
    counts, number = result.statistics, len(result.results)
    counts["evaluated_expectations"] = number
    counts["unsuccessful_expectations"] = sum(not found.success for found in result.results)
    passed = number - counts["unsuccessful_expectations"]
    counts["success_percent"] = 100 * passed / number if number else None


def _joined(errors: list[Exception]) -> Exception:
    """One error for all; of the kind of the first, where that is one of ours."""
    kind = type(errors[0]) if isinstance(errors[0], ActionError) else ActionError
    return kind("; ".join(str(error) or type(error).__name__ for error in errors))


def _definition(result: Any) -> dict[str, Any]:
    return dict((result.meta or {}).get("active_batch_definition") or {})


def _manifest(
    checkpoint: CheckpointResult, result: Any, evaluated: list[Any], outcomes: list[AuditOutcome]
) -> dict[str, Any]:
    return {
        "manifest_version": folders.MANIFEST_VERSION,
        "run_id": {
            "run_name": checkpoint.run_id.run_name,
            "run_time": checkpoint.run_id.run_time.isoformat(),
        },
        "checkpoint": checkpoint.checkpoint_config.name,
        "suite": result.suite_name,
        "batch": {"id": result.batch_id, "definition": _definition(result)},
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
            "records": folders.flagged_records(outcomes),
            "audited": sum(o.report.dataset.records for o in outcomes if o.report),
        },
        "versions": {"great_expectations": installed_version()},
    }
