"""Text from outside as it may be shown: file names, columns, data, and what libraries say of them.

A terminal obeys control characters, and a direction mark makes a text show as something that it is
not. Whatever shows text from outside, on a terminal, in a log or on a page, passes it through
``visible``, or through ``on_one_line`` where a line break could forge a line; errors of this
package do so by themselves.
"""

from __future__ import annotations

import re

# Direction marks and overrides, zero-width spaces, byte order mark, line separators, surrogates.
# The zero-width joiners stay: Hindi, Persian and emoji are written with them.
_INVISIBLE = re.compile(
    "[\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_BREAKS = re.compile("[\n\t]")


def visible(text: str) -> str:
    """``text`` with every control and direction character made visible; newline and tab stay."""
    text = _CONTROL.sub(_picture, text.replace("\r\n", "\n"))
    return _INVISIBLE.sub(_picture, text)


def on_one_line(text: str) -> str:
    """``text`` made visible, newlines and tabs included."""
    return _BREAKS.sub(_picture, visible(text))


def escaped(json: str) -> str:
    """JSON, in which the same characters are written as escapes."""
    json = _CONTROL.sub(_escape, json)
    return _INVISIBLE.sub(_escape, json)


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _picture(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"⟨U+{code:04X}⟩"
