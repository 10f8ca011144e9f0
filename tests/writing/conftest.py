"""A corpus that a gate left is trained on where a trainer is there: TRL, which brings torch."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("trl") else ["test_training_on_clean.py"]
