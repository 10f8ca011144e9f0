"""Two processes take the same steps as one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

HERE = Path(__file__).parent


def train(out: Path, processes: int, *arguments: str) -> dict[str, Any]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launch = (
        ["-m", "torch.distributed.run", f"--nproc_per_node={processes}", f"--master_port={port}"]
        if processes > 1
        else []
    )
    command = [sys.executable, *launch, str(HERE / "train_for_test.py"), str(out), *arguments]
    paths = [str(HERE), str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "ACCELERATE_USE_CPU": "true",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)  # noqa: S603
    assert done.returncode == 0, done.stderr[-3000:]
    return torch.load(out, weights_only=True)


@pytest.mark.slow
@pytest.mark.skipif(
    "SYNFLAW_TEST_PROCESSES" not in os.environ,
    reason="CPU process groups now and then hang or abort as they end; `make test-processes`",
)
@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_two_processes_take_the_same_steps_as_one(family: str, tmp_path: Path) -> None:
    one = train(tmp_path / "one.pt", 1, family, "8", "1")
    two = train(tmp_path / "two.pt", 2, family, "2", "2")
    for name, weight in one["weights"].items():
        torch.testing.assert_close(two["weights"][name], weight, rtol=1e-4, atol=2e-6)
    assert len(one["log"]) == len(two["log"]) == 4
    for mine, other in zip(one["log"], two["log"], strict=True):
        for term in ("loss", "forget_loss", "retain_loss", "replay_loss", "bias_loss"):
            assert other[term] == pytest.approx(mine[term], rel=1e-4)
