"""A Spark session for the command line, and Spark's errors as errors of ours."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from synflaw_audit.errors import EngineError, InputError, MissingExtraError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# What was raised in a worker, or in Java; the last is the cause of those before.
_RAISED = re.compile(
    r"^(?:Caused by: |: )?(?:[\w$]+\.)*(\w*(?:Error|Exception)): (.+)$", re.MULTILINE
)
_MISSING = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")
_FILE = re.compile(r"error while reading file (\S+?)\.?\s")


def start(master: str | None = None, partitions: int | None = None) -> SparkSession:
    """The session of this process, made if there is none.

    Args:
        master: Such as "local[2]"; what ``spark-submit`` or Spark's configuration says if None.
        partitions: Into how many parts files are split, about: Spark splits no compressed text and
            no CSV file.

    Raises:
        MissingExtraError: pyspark is not installed.
        EngineError: Spark does not start.
    """
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as missing:
        raise MissingExtraError("auditing on Spark", "spark") from missing
    builder = SparkSession.builder.appName("synflaw audit")
    # The progress that Spark prints and the commands' own would write over each other.
    builder = builder.config("spark.ui.showConsoleProgress", "false")
    if master is not None:
        builder = builder.master(master)
        if master.startswith("local"):  # the workers are this machine's: let them be this Python
            os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if partitions is not None:
        # Spark's own size of a split is the total, divided by this, but not below the cost of
        # opening a file.
        builder = builder.config("spark.sql.files.minPartitionNum", partitions)
        builder = builder.config("spark.sql.files.openCostInBytes", 1 << 16)
    try:
        session = builder.getOrCreate()
    except PySparkException as error:
        if "JAVA" in str(error):
            raise EngineError(
                "Spark runs on Java, and none could be started: install a Java runtime (17 or 21 "
                "for pyspark 4; on Debian: apt-get install default-jre-headless) and put java on "
                f"the PATH, or set JAVA_HOME ({str(error).splitlines()[0]})"
            ) from error
        raise EngineError(f"Spark does not start: {_first_line(error)}") from error
    except Exception as error:  # what the JVM throws has no common type here
        raise EngineError(f"Spark does not start: {_first_line(error)}") from error
    session.sparkContext.setLogLevel("ERROR")
    return session


@contextmanager
def spark_errors(name: str) -> Iterator[None]:
    """Turns what Spark raises into an error that names the corpus.

    Raises:
        InputError: It cannot be read.
        EngineError: Spark failed otherwise.
    """
    from pyspark.errors import AnalysisException, PySparkException

    try:
        yield
    except AnalysisException as error:
        if "PATH_NOT_FOUND" in str(error) or "Path does not exist" in str(error):
            raise InputError(f"{name}: no such file, folder or table for Spark") from error
        raise InputError(f"{name}: {_first_line(error)}") from error
    except PySparkException as error:
        raised = _RAISED.findall(str(error))
        if missing := _MISSING.search(str(error)):
            raise EngineError(
                f"{name}: the Python of Spark's executors has no module {missing[1]!r}: install "
                "synflaw-audit there as it is here, or ship an environment that holds it (such as "
                "spark.archives with spark.pyspark.python)"
            ) from error
        if raised and raised[-1][0] == InputError.__name__:
            raise InputError(raised[-1][1]) from error
        raise EngineError(f"{name}: Spark could not go on: {_cause(error)}") from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "py4j":
            raise
        raise EngineError(f"{name}: Spark could not go on: {_cause(error)}") from error


def _cause(error: Exception) -> str:
    raised, files = _RAISED.findall(str(error)), _FILE.findall(str(error))
    where = f"{files[0]}: " if files else ""
    return where + (f"{raised[-1][0]}: {raised[-1][1]}" if raised else _first_line(error))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
