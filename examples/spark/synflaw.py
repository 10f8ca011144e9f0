"""The command ``synflaw`` as an application of Spark.

    spark-submit [OPTIONS] examples/spark/synflaw.py gate PATH... --engine spark --out DIR

``spark-submit`` takes a file, not a command, and says itself which master and which resources.
"""

from __future__ import annotations

from synflaw_audit.commands.main import main

if __name__ == "__main__":
    main()
