"""Two processes take the same steps as one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "SYNFLAW_TEST_PROCESSES" not in os.environ,
        reason="CPU process groups now and then hang or abort as they end; `make test-processes`",
    ),
]

HERE = Path(__file__).parent


def run(*command: str) -> str:
    """Run Python on the CPU, in one thread a process, and give what it wrote to stdout."""
    paths = [str(HERE), str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "ACCELERATE_USE_CPU": "true",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(  # noqa: S603
        [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def train(out: Path, processes: int, *arguments: str) -> dict[str, Any]:
    module = ("-m", "torch.distributed.run", f"--nproc_per_node={processes}")
    launch = (*module, f"--master_port={free_port()}") if processes > 1 else ()
    run(*launch, str(HERE / "train_for_test.py"), str(out), *arguments)
    return torch.load(out, weights_only=True)


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


def test_two_processes_repair_as_one_does(tmp_path: Path) -> None:
    from small_models import damage, flagged_rows, ordinary_rows, write_flagged

    damage(tmp_path / "damaged", chat=False)
    write_flagged(tmp_path / "flagged.parquet", flagged_rows())
    rows = [{"question": row.question, "answer": row.answer} for row in ordinary_rows(40)]
    (tmp_path / "replay.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "settings.toml").write_text(
        # 64 rows, which 8 divides: accelerate fills the last batch up.
        "learning_rate = 1e-3\nnum_train_epochs = 4\nforget_weight = 0.5\nrenderings = 0\n"
    )
    inputs = (
        *(str(tmp_path / "damaged"), "--forget", str(tmp_path / "flagged.parquet")),
        *("--replay", str(tmp_path / "replay.jsonl")),
        *("--config", str(tmp_path / "settings.toml"), "--control", "--relearn", "2"),
    )
    synflaw = ("-c", "from synflaw_audit.commands.main import main; main()")
    port = f"--main_process_port={free_port()}"
    # With --cpu it would start one process, or need MPI; ACCELERATE_USE_CPU says what they run on.
    launch = ("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes=2", port)
    script = tmp_path / "synflaw.py"
    script.write_text(synflaw[1])
    one = tmp_path / "one"
    shown = run(*synflaw, "repair", *inputs, "--batch-size", "8", "--out", str(one))
    two = tmp_path / "two"
    shared = run(
        *(*launch, str(script), "repair", *inputs),
        *("--batch-size", "4", "--out", str(two)),
    )
    assert shared.count("Repaired") == shown.count("Repaired") == 1  # one process speaks
    found, wanted = (
        json.loads((folder / "repair.json").read_text(encoding="utf-8")) for folder in (two, one)
    )
    for name in ("tokens", "steps", "rows"):
        assert found[name] == wanted[name]
    for name in ("before", "after", "control"):
        assert found[name] == pytest.approx(wanted[name], rel=1e-2)
    assert found["relearning"]["curve"][-1] == pytest.approx(
        wanted["relearning"]["curve"][-1], 0.02
    )
    assert not list(tmp_path.glob(".*"))
