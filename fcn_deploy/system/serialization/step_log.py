"""Read and write a log of finished steps: one JSON object per line, so that work that was stopped can be resumed.

The first line says which work it is; each other line is a finished step. A line that a kill cut short is dropped, and
its step is done again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fcn_deploy.errors import RecordError
from fcn_deploy.system.files import check_writable, output_error, write_text
from fcn_deploy.system.serialization.decode import is_schema, parse_json
from fcn_deploy.system.serialization.plain import plain


@dataclass
class StepLog:
    """A log of one kind; the file is made with its first step, so that work without one leaves nothing.

    Attributes:
        path: the file.
        kind: what the first line calls it, such as "layer search".
        noun: what messages call it, such as "search log".
        work: what messages call the work, such as "search".
        flag: the option that names another file.
        schema: of its lines; a file with another one is refused.
    """

    path: Path
    kind: str
    noun: str
    work: str
    flag: str
    schema: int = 1
    _header: str = field(default="", init=False, repr=False)  # "" once it is in the file

    def open(self, key: Mapping[str, Any], parse: Callable[[str, str], None]) -> None:
        """Start the log, or give each of its lines to `parse`, with the words for an error about that line.

        Args:
            key: plain data that says which work this is.
            parse: raises RecordError for a line that it cannot use.

        Raises:
            RecordError: the file is no such log, is damaged, or that of other work (what differs).
            OutputError: it cannot be written.
        """
        check_writable(self.path)
        if self.path.is_file() and self.path.stat().st_size:
            self._read(key, parse)
        else:
            self._header = json.dumps({"schema": self.schema, "kind": self.kind, "key": plain(key)}) + "\n"

    def add(self, line: Any) -> None:
        """Write one finished step, a dataclass or plain data, at once; OutputError if it cannot be written."""
        text = json.dumps(plain(line)) + "\n"
        if self._header:
            write_text(self.path, self._header + text)
            self._header = ""
            return
        try:
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise output_error(self.path, error) from error

    def _read(self, key: Mapping[str, Any], parse: Callable[[str, str], None]) -> None:
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        lines = whole.decode(errors="replace").splitlines()
        self._check_header(lines[0] if lines else "", key)
        for number, line in enumerate(lines[1:], start=2):
            try:
                parse(line, f"line {number} of the {self.noun} {self.path} is damaged")
            except RecordError as error:
                raise RecordError(f"{error}; remove the line, or the file to start again") from error
        if len(whole) < len(data):
            os.truncate(self.path, len(whole))

    def _check_header(self, line: str, key: Mapping[str, Any]) -> None:
        try:
            header = parse_json(line, self.noun, RecordError)
        except RecordError:
            header = None
        if not isinstance(header, dict) or header.get("kind") != self.kind or not isinstance(header.get("key"), dict):
            raise RecordError(f"{self.path} is no {self.noun}; name another file ({self.flag})")
        if not is_schema(header.get("schema"), self.schema):
            raise RecordError(
                f"{self.path} has schema {header.get('schema')}; this version reads schema {self.schema}; name another "
                f"file ({self.flag}) or remove this one"
            )
        wanted = plain(key)
        different = [name for name in sorted({*wanted, *header["key"]}) if wanted.get(name) != header["key"].get(name)]
        if different:
            pairs = (
                f"{name} ({_short(header['key'].get(name))}, now {_short(wanted.get(name))})" for name in different
            )
            raise RecordError(
                f"{self.path} is the log of another {self.work}: it differs in {', '.join(pairs)}; name another file "
                f"({self.flag}) or remove this one"
            )


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 24 else f"{text[:12]}..."
