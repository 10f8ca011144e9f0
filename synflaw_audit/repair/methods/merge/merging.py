"""Fine-tunes of one base merged weight by weight, from files to files, or into a model in memory.

Of every model one weight is held at a time, and of the merged one a shard: the memory does not grow
with the models' size, nor with the number of their shards.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from synflaw_audit.errors import RepairError
from synflaw_audit.repair.methods.merge.rules import Rule
from synflaw_audit.repair.storage.adapters import base_of, is_adapter
from synflaw_audit.repair.storage.folder import check_model, check_out
from synflaw_audit.repair.storage.weights import FolderWeights, Weights, weights_of

_SHARD_BYTES = 2_000_000_000
# What a model's folder holds beside its weights: copied as it is.
_BESIDE = ("*.json", "*.jinja", "*.model", "*.txt")


@dataclass(frozen=True)
class Merged:
    """What was merged, and how.

    Attributes:
        rule: Name of the rule.
        models: The fine-tunes' names.
        coefficients: One a fine-tune.
        norms: Of their task vectors; empty where the rule does not ask for them.
        out: The folder that was written.
    """

    rule: str
    models: tuple[str, ...]
    coefficients: tuple[float, ...]
    norms: tuple[float, ...]
    out: Path

    def described(self) -> str:
        """In a sentence."""
        return description(self.rule, self.models, self.coefficients)


def description(rule: str, models: Sequence[str], coefficients: Sequence[float]) -> str:
    """Which models were merged, in a sentence."""
    parts = [f"{c:.3g} of {m}" for c, m in zip(coefficients, models, strict=True)]
    return f"merged by {rule}, as task vectors of the base: {', '.join(parts)}"


def merge(
    model: str | Path,
    *,
    base: str | Path | None = None,
    others: Sequence[str | Path],
    out: str | Path,
    rule: Rule | None = None,
    shard_bytes: int = _SHARD_BYTES,
) -> Merged:
    """Merge fine-tunes of one base into a new folder, without data and without loading a model.

    The tokenizer and the settings are those of the first, or of the base where that is an adapter.
    ``merge.json`` in the folder says what was merged. The folder appears whole or not at all.

    Args:
        model: The first fine-tune: a folder, a hub name or an adapter's folder.
        base: What all were fine-tuned from; None: the base that the first names, if it is an
            adapter.
        others: The other fine-tunes.
        out: The folder to write; must not exist, or be empty.
        rule: How; None: MetaGPT.
        shard_bytes: Bytes of a file of weights.

    Raises:
        RepairError: There is no base or nothing to merge, a model cannot be read, or they are not
            fine-tunes of one model; names the weight.
    """
    rule = Rule() if rule is None else rule
    out = Path(out)
    check_out(out, model)
    if base is None and not is_adapter(model):
        raise RepairError("merging needs the model that all were fine-tuned from: give it (--base)")
    for each in (model, *others):
        check_model(each)
    whole = base_of(model, base)
    origin = FolderWeights(whole)
    tunes = [weights_of(each, origin) for each in (model, *others)]
    require_others(tunes)
    squares = squared_norms(origin, tunes) if rule.needs_norms else [0.0] * len(tunes)
    coefficients = rule.coefficients(squares)
    norms = tuple(each**0.5 for each in squares) if rule.needs_norms else ()
    found = Merged(rule.name, tuple(each.name for each in tunes), coefficients, norms, out)
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        _write_shards(merged_weights(origin, tunes, coefficients, rule), work, shard_bytes)
        _copy_beside(Path(whole if is_adapter(model) else model), work)
        said = {**asdict(found), "out": out.name}
        (work / "merge.json").write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
        work.chmod(0o755)  # mkdtemp makes it private
        if out.exists():
            out.rmdir()  # empty, as checked at the start
        work.rename(out)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return found


def require_others(tunes: Sequence[Weights]) -> None:
    """Check that there is something to merge.

    Raises:
        RepairError: There is one model only.
    """
    if len(tunes) < 2:
        raise RepairError("merging needs other fine-tunes of the same base: name them (merge_with)")


def squared_norms(base: Weights, tunes: Sequence[Weights]) -> list[float]:
    """Of the task vectors, over all weights, each weight read once."""
    totals = [0.0] * len(tunes)
    for _, _, vectors in _task_vectors(base, tunes):
        for at, vector in enumerate(vectors):
            totals[at] += float(vector.double().square().sum())
    return totals


def merged_weights(
    base: Weights, tunes: Sequence[Weights], coefficients: Sequence[float], rule: Rule
) -> Iterator[tuple[str, Tensor]]:
    """Every weight of the first fine-tune, merged, in its type; each is made when it is asked for.

    Raises:
        RepairError: The models are not of one shape; names the weight.
    """
    for name, origin, vectors in _task_vectors(base, tunes):
        kind = tunes[0].read(name).dtype
        yield name, (origin + rule.merged(vectors, coefficients)).to(kind)


def _task_vectors(
    base: Weights, tunes: Sequence[Weights]
) -> Iterator[tuple[str, Tensor, list[Tensor]]]:
    for name in tunes[0].names:
        origin = base.read(name).float()
        vectors = []
        for tune in tunes:
            weight = tune.read(name)
            if weight.shape != origin.shape:
                raise RepairError(
                    f"{name} has shape {tuple(weight.shape)} in {tune.name} and "
                    f"{tuple(origin.shape)} in the base {base.name}: they are not of one model"
                )
            vectors.append(weight.float().to(origin.device) - origin)
        yield name, origin, vectors


def _write_shards(weights: Iterator[tuple[str, Tensor]], folder: Path, limit: int) -> None:
    """Files of at most ``limit`` bytes, or of one weight, and the index where there are several."""
    shard: dict[str, Tensor] = {}
    size, total = 0, 0
    placed: list[list[str]] = []

    def flush() -> None:
        save_file(shard, folder / f"{len(placed)}.part", metadata={"format": "pt"})
        placed.append(list(shard))
        shard.clear()

    for name, weight in weights:
        taken = weight.numel() * weight.element_size()
        if shard and size + taken > limit:
            flush()
            size = 0
        shard[name] = weight.contiguous()
        size, total = size + taken, total + taken
    flush()
    if len(placed) == 1:
        (folder / "0.part").rename(folder / "model.safetensors")
        return
    index: dict[str, str] = {}
    for number, names in enumerate(placed):
        file = f"model-{number + 1:05}-of-{len(placed):05}.safetensors"
        (folder / f"{number}.part").rename(folder / file)
        index |= dict.fromkeys(names, file)
    said = {"metadata": {"total_size": total}, "weight_map": index}
    (folder / "model.safetensors.index.json").write_text(json.dumps(said, indent=2))


def _copy_beside(model: Path, folder: Path) -> None:
    for pattern in _BESIDE:
        for file in model.glob(pattern):
            if not file.name.endswith(".index.json") and file.name != "repair.json":
                shutil.copy(file, folder / file.name)
