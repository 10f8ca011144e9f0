"""A model whose weights lie on a grid, as a folder: packed, as ``compressed-tensors`` reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from synflaw_audit.errors import MissingExtraError
from synflaw_audit.repair.export.grid import Grid, linear_layers


def require_format() -> None:
    """Check that what writes the folder is installed.

    Raises:
        MissingExtraError: It is not; names the extra.
    """
    try:
        import compressed_tensors  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("writing a model in few bits", "export") from error


def write(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, bits: int, out: Path) -> None:
    """Write a model whose weights lie on a grid, packed; the model is of no use afterwards."""
    require_format()
    from compressed_tensors.compressors import ModelCompressor
    from compressed_tensors.quantization import (
        QuantizationArgs,
        QuantizationConfig,
        QuantizationScheme,
        apply_quantization_config,
    )

    layers = list(linear_layers(model))
    groups: dict[Grid, list[str]] = {}
    for name, layer in layers:
        groups.setdefault(Grid.of(bits, layer.in_features), []).append(name)
    schemes = {}
    for number, (grid, names) in enumerate(groups.items()):
        arguments = QuantizationArgs(
            num_bits=bits,
            symmetric=True,
            strategy="channel" if grid.group is None else "group",
            group_size=grid.group,
        )
        schemes[f"group_{number}"] = QuantizationScheme(targets=names, weights=arguments)
    apply_quantization_config(
        model,
        QuantizationConfig(config_groups=schemes, format="pack-quantized", ignore=["lm_head"]),
    )
    for _, layer in layers:
        scale: Any = layer.weight_scale
        found = Grid.of(bits, layer.in_features).scales(layer.weight)
        scale.data = found.to(scale.dtype)
    compressor = ModelCompressor.from_pretrained_model(model)
    compressor.compress_model(model)
    model.save_pretrained(out)
    compressor.update_config(str(out))
    tokenizer.save_pretrained(out)
