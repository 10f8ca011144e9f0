"""One line of JSON as a value, or why it is none."""

from __future__ import annotations

import json

import orjson

from synflaw_audit.reading.rows import Unreadable, not_utf8


def parse_json(line: bytes) -> object:
    """One line of JSON as a value, or why it is none.

    orjson refuses NaN, Infinity and lone surrogates, which Python's own json writes; a line that
    it refuses gets a second chance, since those may stand in a field that nobody asks for.
    """
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(line.decode())
    except UnicodeDecodeError:
        return Unreadable(not_utf8(line))
    except json.JSONDecodeError as error:
        return Unreadable(f"not valid JSON: {error.msg} at character {error.pos}")
    except RecursionError:
        return Unreadable("not readable JSON: nested too deeply")
    except ValueError as error:  # an integer of more digits than Python converts
        return Unreadable(f"not readable JSON: {error}")
