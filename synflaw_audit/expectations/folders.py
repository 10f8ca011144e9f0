"""The folders that hold what validations found, one a validation, and the way to the newest.

    <directory>/<suite>/<data source>/<asset>/<partition>/<run time>-<random>/flagged.parquet
                                                                              report.html
                                                                              report.json
                                                                              manifest.json
    <directory>/<suite>/<data source>/<asset>/<partition>/latest.json

``flagged.parquet`` has the schema ``records.FLAGGED`` and, after it, the index columns of the
checkpoint's result format. Expectations with row conditions of their own are audited apart, each
with a numbering of rows of its own: their files are numbered (``flagged-2.parquet``,
``report-2.json``), and the manifest says which is whose. ``latest.json`` names the newest folder
beside it; it is a file and no link, so that the tree can be copied anywhere.
"""

from __future__ import annotations

import json
import re
import shutil
import uuid
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from synflaw_audit.errors import InputError
from synflaw_audit.expectations import subset as subsets
from synflaw_audit.expectations.runs import AuditOutcome
from synflaw_audit.flagging.sinks import write_text
from synflaw_audit.report import render_html

LATEST, MANIFEST = "latest.json", "manifest.json"
MANIFEST_VERSION = 2
WHOLE = "whole"


@dataclass(frozen=True)
class ValidationFolder:
    """Where the validations of one batch of one suite are kept.

    Attributes:
        suite: Its name.
        source: The data source's.
        asset: The asset's.
        partition: What tells the batch from others of the asset.
    """

    suite: str
    source: str
    asset: str
    partition: str

    @classmethod
    def of(cls, suite: str, definition: Mapping[str, Any]) -> ValidationFolder:
        """The place of a validation, by the batch definition in its ``meta``."""
        identifiers = definition.get("batch_identifiers") or {}
        known = {key: value for key, value in identifiers.items() if key != "dataframe"}
        if set(known) == {"path"}:
            partition = str(known["path"])
        else:
            partition = ",".join(f"{key}={known[key]}" for key in sorted(known))
        source = definition.get("datasource_name") or "source"
        asset = definition.get("data_asset_name") or "batch"
        return cls(suite, str(source), str(asset), partition or WHOLE)

    def below(self, directory: Path) -> Path:
        """The folder of the place."""
        parts = (self.suite, self.source, self.asset, self.partition)
        return directory.joinpath(*map(component, parts))


def component(name: str) -> str:
    """A name as one component of a path; different names stay different."""
    plain = re.sub(r"[^\w.-]+", "_", name).lstrip(".")
    kept = plain and plain == name
    return plain if kept else f"{plain or '_'}-{zlib.crc32(name.encode()):08x}"


def write(place: Path, manifest: Mapping[str, Any], outcomes: Sequence[AuditOutcome]) -> Path:
    """Writes what a validation found; the folder appears whole or not at all.

    Args:
        place: The folder of the validation's place.
        manifest: What to say of it; the files are added.
        outcomes: Of its audits.

    Returns:
        The new folder, which is the place's latest from now on.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    final = place / f"{stamp}-{uuid.uuid4().hex[:8]}"
    with _appearing(final) as folder:
        audits = [_audit(folder, n, outcome) for n, outcome in enumerate(outcomes, 1)]
        if not audits:
            subsets.write(folder / "flagged.parquet", None)
        text = json.dumps({**manifest, "audits": audits}, indent=2)
        (folder / MANIFEST).write_text(text, encoding="utf-8")
    write_text(place / LATEST, json.dumps({"run": final.name}) + "\n")
    return final


def latest(directory: Path) -> Iterator[Path]:
    """The newest folder of every place at or below a directory, by name.

    Raises:
        InputError: There is none, or a pointer names a folder that is not there.
    """
    pointers = sorted(directory.rglob(LATEST))
    if not pointers:
        raise InputError(f"{directory}: no validation with synflaw expectations has written here")
    for pointer in pointers:
        try:
            folder = pointer.parent / json.loads(pointer.read_text(encoding="utf-8"))["run"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{pointer}: does not name a run: {error}") from error
        if not (folder / MANIFEST).is_file():
            raise InputError(f"{pointer}: names {folder.name}, which is not there or not whole")
        yield folder


def _audit(folder: Path, number: int, outcome: AuditOutcome) -> dict[str, Any]:
    """Writes the files of one audit; returns what the manifest says of it."""
    suffix = "" if number == 1 else f"-{number}"
    flagged = f"flagged{suffix}.parquet"
    said: dict[str, Any] = {
        "id": outcome.id,
        "row_condition": outcome.condition or None,
        "passes": outcome.passes,
        "error": outcome.failure.message if outcome.failure else None,
        "flagged": {"file": flagged, "records": subsets.write(folder / flagged, outcome.subset)},
        "report": None,
    }
    if outcome.report is not None:
        said["report"] = f"report{suffix}.json"
        html = render_html(outcome.report)
        (folder / f"report{suffix}.html").write_text(html, encoding="utf-8")
        (folder / said["report"]).write_text(outcome.report.to_json(), encoding="utf-8")
    return said


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


def flagged_records(audits: Iterable[AuditOutcome]) -> int:
    """The rows that audits flagged."""
    return sum(outcome.subset.records for outcome in audits if outcome.subset)
