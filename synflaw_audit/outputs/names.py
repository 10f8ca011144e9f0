"""The names that the outputs of an audit and of a gate have in their folder."""

from __future__ import annotations

FLAGGED_FILE, REJECTED_FILE = "flagged.parquet", "rejected.jsonl"
CLEAN_FILE, QUARANTINED_FILE = "clean.parquet", "quarantined.parquet"
# The corpus in its own format again, in two folders.
CLEAN_FOLDER, QUARANTINED_FOLDER = "clean", "quarantined"
REPORT_FILES = ("report.json", "report.md", "report.html")
DECISION_FILE = "gate.json"
SARIF_FILE, JUNIT_FILE = "report.sarif", "report.junit.xml"
MANIFEST_FILE = "run.json"
# What a run is at work on, hidden, so that no reader takes it for a corpus.
WORK_FOLDER = ".synflaw-audit"

ROW_FILES = (FLAGGED_FILE, REJECTED_FILE)
SPLIT_FILES = (CLEAN_FILE, QUARANTINED_FILE)
DECISION_FILES = (DECISION_FILE, SARIF_FILE, JUNIT_FILE)
SPLIT_FOLDERS = (CLEAN_FOLDER, QUARANTINED_FOLDER)
# What a repair of a corpus writes: the corpus, what was left out of it, what was found in both, and
# what was done.
FIXED_FOLDER, REMOVED_FOLDER, BEFORE_FOLDER, AFTER_FOLDER = "fixed", "removed", "before", "after"
FIX_FILE, FIX_PAGE, FIX_DIFF = "fix.json", "fix.html", "fix.diff.jsonl"
# What became of each flagged answer that was to be said anew; what a repair may learn of them.
REWRITES_FILE, REPLAY_FILE = "rewrites.parquet", "replay.jsonl"
FIX_OUTPUTS = (
    *(FIXED_FOLDER, REMOVED_FOLDER, BEFORE_FOLDER, AFTER_FOLDER),
    *(FIX_FILE, FIX_PAGE, FIX_DIFF),
    *(REWRITES_FILE, REPLAY_FILE),
)
# What a probe writes beside the audit of a model's answers.
PROBE_FILE, ANATOMY_FILE, ANATOMY_PAGE = "probe.json", "anatomy.json", "anatomy.html"
PROBE_FILES = (PROBE_FILE, ANATOMY_FILE, ANATOMY_PAGE)
OUTPUT_FILES = (
    *ROW_FILES,
    *SPLIT_FILES,
    *SPLIT_FOLDERS,
    *REPORT_FILES,
    *DECISION_FILES,
    *FIX_OUTPUTS,
    *PROBE_FILES,
    MANIFEST_FILE,
)
