"""Names that a terminal, a spreadsheet, a page or a file format would obey: files, folders, classes and nodes.

A command works, and what it prints and writes has none of them as it is; or one line says that it cannot.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from fcn_deploy.system.escape import cell, visible
from fcn_deploy.system.serialization.toml import read_toml
from tests.hostile.harness import attempt, faults
from tests.hostile.kind import Kind, Outcome, Pair
from tests.hostile.naming import LINES
from tests.hostile.place import Place

NAMES: dict[str, bytes] = {
    "no UTF-8": b"a\xff\xfe",
    "ANSI": b"a\x1b[31mred\x1b]0;t\x07",
    "C1": "a\x9b2J".encode(),
    "bidi": "a\u202egnp\u2066".encode(),
    "line end": b"a\nerror: b",
    "carriage return": b"a\rb",
    "separator": "a\u2028b\x85c".encode(),
    "tab": b"a\tb",
    "markup": b"a[bold]b[link=x]",
    "end of markup": b"a[/x]b",
    "emoji": b":car:",
    "HTML": b"<script>alert(1)<&>\"'`",
    "formula": b"=1+1|cmd",
    "sum": b"@SUM(A1)",
    "minus": b"-1+2",
    "option": b"--help",
    "comment": b"#a",
    "blanks": b" a  b ",
    "quotes": b"'a\"b'",
    "list": b"a,b;c",
    "pattern": b"[a-z]*?{b}",
    "percent": b"%s%d%%{0}",
    "home": b"~root",
    "dollar": b"$HOME`id`",
    "backslash": b"a\\n\\b",
    "address": b"s3:x",
    "words": "Straße 道路 🚗".encode(),
    "long": b"x" * 200,
}
QUICK = (
    "image of predict", "list of predict", "output of predict", "folders of data check", "list of data check",
    "model of inspect", "model of package", "name of package", "class of inspect", "class of predict",
    "class of package", "class of data check", "node of inspect", "node of audit", "unknown command", "unknown option",
)  # fmt: skip


_NUMBER = re.compile(r"-[\d.]+")


def _pairs() -> Iterator[Pair]:
    yield from ((name, line) for name in NAMES for line in LINES)


def _run(place: Place, case: str, command: str) -> Outcome:
    at, out = place.base / "case" / "in", place.base / "out"
    for folder in (at.parent, out):
        shutil.rmtree(folder, ignore_errors=True)
    for folder in (at, out):
        folder.mkdir(parents=True)
    name = os.fsdecode(NAMES[case])
    try:
        line = LINES[command](name, place.own, at, out)
    except (OSError, ValueError):  # the file system, the format of the file or onnx has no such name
        return Outcome(0, [], "")
    done = attempt(line, outputs=out, inputs=place.own)
    found = faults(done, refused=False)
    if not found and done.code in (0, 3):
        found += [f"obeyed in {where}: {words}" for where, words in _obeyed(done.out, done.err, out)]
        found += _unlike(command, name, out) if done.code == 0 else []
    return Outcome(done.code, found, done.reason)


def _obeyed(shown: str, noticed: str, out: Path) -> Iterator[tuple[str, str]]:
    """Yield where text of others is as it came."""
    texts = {"standard output": shown, "standard error": noticed}
    for path in out.rglob("*"):
        if path.suffix in (".csv", ".html", ".json", ".md", ".xml", ".pbtxt", ".toml") and path.is_file():
            if path.suffix == ".toml":
                read_toml(path)
            texts[path.suffix] = path.read_bytes().decode(errors="surrogateescape").replace("\r\n", "\n")
    for where, text in texts.items():
        yield from ((where, repr(line)) for line in text.split("\n") if visible(line) != line)
        if where == ".json":
            json.loads(text)
        if where == ".html" and "<script>alert" in text:
            yield where, "a script"
        if where == ".csv":
            cells = [each for row in csv.reader(io.StringIO(text)) for each in row]
            yield from ((where, each) for each in cells if cell(each) != each and not _NUMBER.fullmatch(each))


def _unlike(command: str, name: str, out: Path) -> Iterator[str]:
    """Yield what a name is not in the files that keep it as it is."""
    if command == "image of predict" and not (out / "labels" / f"{name}.png").is_file():
        yield "exit code 0 without the label map of its name"
    if command == "class of package":
        labels = (out / "models" / "m" / "labels.txt").read_text(encoding="utf-8")
        if labels.split("\n")[1] != name.strip():
            yield "exit code 0 without the class in labels.txt"


KINDS = [Kind("names and text", _pairs, _run, default=54, slow=tuple(name for name in LINES if name not in QUICK))]
