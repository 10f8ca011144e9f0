"""Write the sample corpora beside this file. Run from anywhere: python sample_data/generate.py."""

from __future__ import annotations

from pathlib import Path

from synflaw_audit.lab.corpora import sample_corpora


def main() -> None:
    """Write every corpus, replacing what is there."""
    for name, content in sample_corpora().items():
        (Path(__file__).parent / name).write_text(content, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
