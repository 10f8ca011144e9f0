"""Why a file is not read whose ending no reader has, and what to do about it."""

from __future__ import annotations

from pathlib import Path

from synflaw_audit.remote import FilePath

_PICKLE = "a pickle, and reading one runs whatever code it holds"
_ARCHIVE = "an archive; unpack it, and name the folder"
_TEXT = "plain text: nothing tells where a row ends"
_OFFICE = "a document of an office program; export it as CSV"
_DATABASE = "a database; export the table as Parquet or CSV"
_REASONS = {
    **dict.fromkeys((".pkl", ".pickle", ".pt", ".pth", ".bin", ".joblib"), _PICKLE),
    **dict.fromkeys((".zip", ".tar", ".tgz", ".tbz2", ".txz", ".7z", ".rar"), _ARCHIVE),
    **dict.fromkeys((".txt", ".text", ".md", ".rst", ".log"), _TEXT),
    **dict.fromkeys((".xlsx", ".xls", ".ods", ".docx", ".doc", ".odt", ".pdf"), _OFFICE),
    **dict.fromkeys((".db", ".sqlite", ".sqlite3", ".duckdb"), _DATABASE),
    **dict.fromkeys((".avro", ".orc", ".msgpack", ".tfrecord", ".h5"), "convert it to Parquet"),
    **dict.fromkeys((".yaml", ".yml", ".toml", ".xml"), "convert it to JSON lines"),
}


def reason_not_read(path: FilePath) -> str:
    """Why a file of no known ending is not read."""
    inner = Path(path.stem).suffix.lower()
    if inner == ".tar":
        return _ARCHIVE
    return _REASONS.get(path.suffix.lower(), "unknown kind of file")


def advice(path: FilePath) -> str:
    """What to do with such a file, where its reason does not say so."""
    if reason_not_read(path) == _TEXT:
        return 'write {"text": ...} a line into a .jsonl, and read that with --answer text; '
    return ""
