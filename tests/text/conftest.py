"""Encoders are trained where torch is; the core goes without."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("torch") else ["test_adaptation.py", "test_self_evolution.py"]
