"""Set up a Great Expectations project with a suite on the format of question-answer data.

    python examples/gx/set_up.py PROJECT [CORPUS_DIR]

Makes PROJECT, hooks it, and stores a suite, and a checkpoint for each corpus: ``templated`` and
``natural``, the two files in ``sample_data/`` unless another folder is given. Run them with
``check.py``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import great_expectations as gx

from synflaw_audit import expectations as synflaw
from synflaw_audit.expectations.project import init

SAMPLES = Path(__file__).parents[2] / "sample_data"


def main(project: Path, corpora: Path = SAMPLES) -> None:
    """Make the project."""
    gx.get_context(mode="file", project_root_dir=project)
    init(project)  # what `synflaw gx init PROJECT` does
    context = gx.get_context(mode="file", project_root_dir=project)

    suite = context.suites.add(gx.ExpectationSuite(name="format"))
    # Great Expectations' own and ours, side by side. Every one of ours shares one pass.
    suite.add_expectation(gx.expectations.ExpectColumnValuesToNotBeNull(column="answer"))
    suite.add_expectation(synflaw.ExpectSynflawFormatUniformityToBeWithinLimits.recommended())
    suite.add_expectation(synflaw.ExpectSynflawAnswerTemplateScoreToBeAtMost.recommended())
    suite.add_expectation(
        synflaw.ExpectSynflawAnswerOpeningScoreToBeAtMost.recommended(severity="warning")
    )
    suite.add_expectation(
        synflaw.ExpectSynflawPatternOverfittingRiskToBeAtMost(max_score=0.5, severity="info")
    )

    source = context.data_sources.add_pandas_filesystem("corpora", base_directory=corpora.resolve())
    asset = source.add_json_asset("jsonl", lines=True, orient="records")
    for name in ("templated", "natural"):
        batch = asset.add_batch_definition_path(name, path=f"{name}.jsonl")
        definition = context.validation_definitions.add(
            gx.ValidationDefinition(name=name, data=batch, suite=suite)
        )
        context.checkpoints.add(
            gx.Checkpoint(
                name=name,
                validation_definitions=[definition],
                actions=[
                    gx.checkpoint.UpdateDataDocsAction(name="data docs"),
                    synflaw.WriteFlaggedSubsetAction(
                        name="flagged subset",
                        directory=f"uncommitted/synflaw/{name}",
                        min_expectations=4,
                    ),
                ],
                result_format="SUMMARY",
            )
        )
    print(f"{project}: suite 'format', checkpoints 'templated' and 'natural'")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
