"""The callback is for a trainer of transformers, which is there where torch is."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("torch") and find_spec("transformers") else ["test_callback.py"]
