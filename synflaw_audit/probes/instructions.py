"""Instructions that code can verify, in the manner of IFEval (Zhou et al. 2023, arXiv:2311.07911).

An instruction has an identifier and keyword arguments, and an answer follows it or does not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from synflaw_audit.errors import InputError
from synflaw_audit.probes.checkers import CHECKERS


@dataclass(frozen=True)
class Instruction:
    """A prompt with instructions that can be checked in code.

    Attributes:
        prompt: What the model is asked.
        ids: Identifiers of its instructions, keys of :data:`~.checkers.CHECKERS`.
        kwargs: The arguments of each, in the same order.
        kind: What is asked, for a table by kinds; empty where a prompt was read from a file.
        language: Code of the language of the prompt; empty where it is not known.
    """

    prompt: str
    ids: tuple[str, ...]
    kwargs: tuple[dict[str, Any], ...]
    kind: str = ""
    language: str = ""


def follows(answer: str, instruction: Instruction) -> bool:
    """Whether ``answer`` follows every instruction of the prompt; an empty answer follows none."""
    return bool(answer.strip()) and all(
        CHECKERS[name](answer, **kwargs)
        for name, kwargs in zip(instruction.ids, instruction.kwargs, strict=True)
    )


def read_instructions(path: str | Path) -> tuple[list[Instruction], int]:
    """Read prompts in IFEval's own layout: JSON lines, or Parquet with the same columns.

    A row has ``prompt`` (or ``question``), ``instruction_id_list`` and ``kwargs``, the last two as
    lists or as lists written out in JSON. Arguments that are null are left out.

    Returns:
        The prompts all of whose instructions have a checker here, and how many prompts have not.

    Raises:
        InputError: The file cannot be read as such, or no prompt in it is supported.
    """
    rows = _read_rows(Path(path))
    supported: list[Instruction] = []
    for number, row in enumerate(rows):
        try:
            prompt = str(row["prompt"] if "prompt" in row else row["question"])
            ids = tuple(map(str, _list(row["instruction_id_list"])))
            kwargs = tuple(
                {k: v for k, v in (entry or {}).items() if v is not None}
                for entry in _list(row["kwargs"])
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"{path}, row {number}: expected prompt, instruction_id_list and kwargs in "
                f"IFEval's layout ({type(error).__name__}: {error})"
            ) from error
        if ids and len(ids) == len(kwargs) and all(name in CHECKERS for name in ids):
            supported.append(Instruction(prompt, ids, kwargs))
    if not supported:
        raise InputError(
            f"{path}: none of its {len(rows)} prompts has only instructions with a checker; "
            f"there are checkers for {', '.join(sorted(CHECKERS))}"
        )
    return supported, len(rows) - len(supported)


def _read_rows(path: Path) -> list[dict[str, Any]]:
    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
            return rows
        lines = path.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.strip()]
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as JSON lines or Parquet: {error}") from error


def _list(value: Any) -> list[Any]:
    return list(json.loads(value) if isinstance(value, str) else value)


def instruction_following(answers: Sequence[str], prompts: Sequence[Instruction]) -> float:
    """Share of prompts all of whose instructions the answer follows (IFEval's strict accuracy)."""
    followed = [follows(a, p) for a, p in zip(answers, prompts, strict=True)]
    return float(np.mean(followed)) if followed else math.nan
