"""The example configurations say to accelerate and to the repair what they mean to say."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils import FullyShardedDataParallelPlugin
from accelerate.utils.deepspeed import HfDeepSpeedConfig
from accelerate.utils.launch import prepare_multi_gpu_env

from synflaw_audit.repair import RepairConfig
from synflaw_audit.repair.settings import read_settings

FOLDER = Path(__file__).parents[2] / "examples" / "repair"


def launched(name: str) -> Any:
    """What ``accelerate launch --config_file`` makes of a file, checked as it checks it."""
    parser = launch_command_parser()
    arguments = parser.parse_args(["--config_file", str(FOLDER / name), "synflaw"])
    return _validate_launch_command(arguments)[0]


def test_the_fsdp_example_is_read_by_accelerate(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = launched("fsdp.yaml")
    assert arguments.use_fsdp
    assert arguments.num_processes == 4
    for name, value in prepare_multi_gpu_env(arguments).items():
        if name not in os.environ:
            monkeypatch.setenv(name, value)
    plugin = FullyShardedDataParallelPlugin()
    assert plugin.fsdp_version == 2
    assert plugin.reshard_after_forward is True
    assert plugin.state_dict_type.name == "FULL_STATE_DICT"
    assert not plugin.cpu_ram_efficient_loading


def test_the_deepspeed_example_is_read_by_accelerate() -> None:
    arguments = launched("deepspeed.yaml")
    assert arguments.use_deepspeed
    settings = HfDeepSpeedConfig(str(FOLDER / arguments.deepspeed_config_file))
    assert settings.is_zero3()
    assert settings.get_value("train_micro_batch_size_per_gpu") == "auto"
    # Without it no process could write the model.
    assert settings.get_value("zero_optimization.stage3_gather_16bit_weights_on_model_save") is True


def test_the_settings_are_a_repair_s() -> None:
    settings = read_settings(FOLDER / "settings.toml")
    config = RepairConfig(**settings, use_cpu=True)
    assert config.reference == "cached"
    assert json.dumps(config.own_settings())
