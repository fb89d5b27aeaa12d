"""Show text from outside as it is, where a terminal, a spreadsheet or a file format would obey parts of it.

Names of files, classes and nodes, metadata and the messages of libraries are text of others. All of it leaves the
program here: `cli/console.py` calls `visible` for everything that is printed, reports are written with it, and tables
for spreadsheets have `cell`.
"""

from __future__ import annotations

import re

# Control characters but tab and line feed; what turns the direction of text or breaks lines; lone surrogates, which
# are the bytes of a file name that is not UTF-8.
_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
LONGEST_LINE = 900  # characters: half a screen
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_BYTES = range(0xDC80, 0xDD00)  # how Python decodes the bytes 0x80 to 0xFF of a name


def visible(text: str) -> str:
    r"""Return the text with every character that a terminal would obey as `\x1b` or `\u202e`; lines stay lines."""
    return _OBEYED.sub(_escape, text)


def visible_line(text: str) -> str:
    """Return the text as one line: a line break and the blanks around it are a blank, the rest as `visible` has it."""
    return visible(re.sub(r"\s*\n\s*", " ", text.strip()))


def abridged(line: str) -> str:
    """Return a line without its middle where it is longer than a reader can see at once."""
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE // 2]} ... {line[-LONGEST_LINE // 3 :]}"


def cell(value: object) -> object:
    """Return a cell of a table for spreadsheets: text that one would run as a formula gets a ' in front."""
    if not isinstance(value, str):
        return value
    return f"'{visible(value)}" if value.startswith(_FORMULA) else visible(value)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    code = code - 0xDC00 if code in _BYTES else code
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
