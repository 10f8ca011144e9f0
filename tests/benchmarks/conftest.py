from __future__ import annotations

import sys
from pathlib import Path

# The benchmarks are scripts that import one another.
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
