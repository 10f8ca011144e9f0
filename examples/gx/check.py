"""Run the checkpoints of the project that ``set_up.py`` made.

    python examples/gx/check.py PROJECT [CHECKPOINT...]

Exits 1 if one fails, as a pipeline wants it. Nothing here mentions synflaw-audit: opening the
project is enough, because it has the hook.
"""

from __future__ import annotations

import sys
from pathlib import Path

import great_expectations as gx


def main(project: Path, *names: str) -> int:
    """Run them all, say what came of each, and return the exit code."""
    context = gx.get_context(mode="file", project_root_dir=project)
    failed = 0
    for name in names or ("templated", "natural"):
        result = context.checkpoints.get(name).run()
        failed += not result.success
        print(f"{name}: {'passed' if result.success else 'FAILED'}")
        for validation in result.run_results.values():
            for found in validation.results:
                details = (found.result or {}).get("details") or {}
                mark = "ok  " if found.success else "FAIL"
                line = details.get("message") or found.expectation_config.type
                print(f"  {mark} {found.expectation_config.severity.value:8} {line}")
    for site in context.get_docs_sites_urls():
        print(f"Data Docs: {site['site_url']}")
    print(f"flagged rows: {Path(context.root_directory) / 'uncommitted/synflaw'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
