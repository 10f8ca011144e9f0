"""Files that describe a data set or a model, told by their names or by what they hold."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from synflaw_audit.remote import FilePath

_OF_DATA = "describes a data set and holds no rows"
_OF_MODEL = "describes a model and holds no rows"
# What `datasets` keeps beside the rows, and what a folder of a model holds.
_NAMES = {
    **dict.fromkeys(
        ("dataset_dict.json", "dataset_info.json", "dataset_infos.json", "state.json"), _OF_DATA
    ),
    **dict.fromkeys(
        (
            *("config.json", "generation_config.json", "adapter_config.json", "vocab.json"),
            *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
            *("added_tokens.json", "trainer_state.json", "preprocessor_config.json"),
            "model.safetensors.index.json",
        ),
        _OF_MODEL,
    ),
}
# Where a registry of data sets (LLaMA-Factory's, by whatever name) says that the rows of one are.
_PLACES = frozenset(
    {"file_name", "hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name"}
)
_LARGEST = 1 << 20
_MARKS = tuple(f'"{name}"'.encode() for name in _PLACES)


def described(path: FilePath) -> str:
    """What a file describes instead of holding rows; "" if it is no such description.

    Raises:
        OSError: It cannot be read.
    """
    if path.name in _NAMES:
        return _NAMES[path.name]
    if path.suffix.lower() != ".json":
        return ""
    with path.open("rb") as file:
        text = file.read(_LARGEST)
    if not any(mark in text for mark in _MARKS) or not text.lstrip().startswith(b"{"):
        return ""
    try:
        return _OF_DATA if _is_registry(orjson.loads(text)) else ""
    except orjson.JSONDecodeError:
        return ""


def _is_registry(value: object) -> bool:
    """Whether every entry of an object says where the rows of a data set are."""
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(each, Mapping) and _PLACES & set(each) for each in value.values())
    )
