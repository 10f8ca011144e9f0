"""Everything here runs on CPU, in one thread."""

from one_thread import _on_cpu, _one_thread  # noqa: F401 -- used by pytest
