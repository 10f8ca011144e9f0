"""A model's weights, without the code that they may bring along.

Weights that Python pickled are a program, which runs when they are read. Only safetensors are
numbers and nothing else, so only they are loaded; a model's own modelling code never is
(``trust_remote_code=False``, said at every loader, because some ask on a terminal where it is not).
"""

from __future__ import annotations

from pathlib import Path

from synflaw_audit.errors import InputError

_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
# What trainers leave beside weights: never read by whoever loads a model.
_OF_TRAINING = ("training_args", "optimizer", "scheduler", "rng_state", "scaler")


def pickled_weights(model: str | Path) -> str:
    """Why the weights of a local model or adapter are not loaded: they are pickles; "" if not.

    A model of the hub is told by its loader, which takes safetensors alone.
    """
    folder = Path(model)
    if not folder.is_dir():
        return ""
    for place in (folder, *(path for path in folder.iterdir() if path.is_dir())):
        pickles = [
            path.name
            for path in sorted(place.iterdir())
            if path.suffix.lower() in _PICKLES and not path.name.startswith(_OF_TRAINING)
        ]
        if pickles and not any(place.glob("*.safetensors")):
            return (
                f"{place}: its weights are pickled ({', '.join(pickles[:3])}), and reading a "
                "pickle runs whatever code it holds; where you trust it, load the model and save "
                "it again (save_pretrained), which writes safetensors"
            )
    return ""


def require_safetensors(model: str | Path) -> None:
    """Refuses a local model whose weights are pickles.

    Raises:
        InputError: Says why.
    """
    if reason := pickled_weights(model):
        raise InputError(reason)
