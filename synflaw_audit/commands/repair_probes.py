"""The probes that ``synflaw repair`` is asked for, as one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from synflaw_audit.probes.base import Probe

# IFEval asks for up to some 400 words; a model that goes on for ever must be cut off somewhere.
_ANSWER_TOKENS = 512
# Answered once more, and searched for the format.
_FOREIGN_PROMPTS = 100


def chosen_probe(
    forget: Path, ifeval: Path | None, named: str | None, lm_eval: str | None
) -> Probe | None:
    """What is measured before and after besides the likelihoods.

    Args:
        forget: The flagged rows, whose wordings are looked for in the answers.
        ifeval: Prompts in IFEval's layout.
        named: Names of probes, with commas between.
        lm_eval: Tasks of lm-eval, with commas between.

    Raises:
        InputError: The prompts cannot be read, or there is no such probe.
        MissingExtraError: lm-eval is not installed.
    """
    probes: list[Probe] = []
    if ifeval is not None:
        from synflaw_audit.probes.instructions import read_instructions
        from synflaw_audit.probes.suite import Suite
        from synflaw_audit.repair.material.flagged import read_flagged
        from synflaw_audit.repair.material.wordings import wordings

        prompts, unsupported = read_instructions(ifeval)
        if unsupported:
            typer.echo(
                f"{ifeval}: {unsupported} prompts hold an instruction without a checker here and "
                f"are left out; {len(prompts)} remain",
                err=True,
            )
        probes.append(
            Suite(
                {"instruction_following": prompts},
                foreign=[prompt.prompt for prompt in prompts[:_FOREIGN_PROMPTS]],
                templates=wordings(read_flagged(forget, scope="answer").rows),
                max_new_tokens=_ANSWER_TOKENS,
            )
        )
    if named is not None:
        from synflaw_audit.probes.registry import PROBES

        probes += [PROBES.find(name)() for name in _listed(named)]
    if lm_eval is not None:
        from synflaw_audit.probes.harness import harness

        probes.append(harness(_listed(lm_eval)))

    def all_of_them(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> dict[str, float]:
        return {name: v for probe in probes for name, v in probe(model, tokenizer).items()}

    return all_of_them if probes else None


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]
