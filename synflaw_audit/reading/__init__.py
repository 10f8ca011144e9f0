"""Any question-answer corpus, in any usual format, as a stream of Arrow batches of records.

``open_source`` takes paths, globs, directories, a data set's name or a table in memory and gives
a ``Source``; ``Source.batches()`` yields record batches of ``synflaw_audit.records.RECORDS``, as
often as it is called, always the same. Rows that cannot be read go to a callback as ``Rejected``
and never stop the run.

The modules, in the order in which data passes through them: ``inputs`` finds the files or tables,
``text`` (with ``json_documents``) and ``tables`` read them piece by piece, ``schemas`` finds out
which columns hold the question and the answer, ``conversations`` reads lists of messages,
``columns`` makes records of plain text columns at once, ``batches`` of whatever rows there are,
``source`` puts it together.
"""

from __future__ import annotations

from synflaw_audit.reading.inputs import SourceLike
from synflaw_audit.reading.rows import Rejected
from synflaw_audit.reading.source import Source, open_source

__all__ = ["Rejected", "Source", "SourceLike", "open_source"]
