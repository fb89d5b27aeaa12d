"""Standard streams, descriptors, terminals, folders and locales that a program does not expect: it works, or one line.

Each attempt is a process of its own. A command works if it ends as it does undisturbed and leaves the same files.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import shutil
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.hostile.harness import Attempt, faults
from tests.hostile.kills.commands import COMMANDS, write_inputs
from tests.hostile.kind import Kind, Outcome, Pair
from tests.hostile.other_ends import FILE, GONE, HEAD, TERMINAL, can_mount, stream, tiny
from tests.hostile.place import Place
from tests.hostile.start import CLOSED, DEADLINE_S, Start, Starter

LIST = "list"  # what standard input is undisturbed
MOST_BYTES = 4096
_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


@dataclass(frozen=True)
class Condition:
    """What is odd about a start.

    Attributes:
        stdin, stdout, stderr: a path, CLOSED, or a command that reads it and ends.
        real: Python itself looks at it.
        works: every command must work.
        tmp_bytes: the size of the folder of temporary files.
    """

    stdin: str = LIST
    stdout: str = FILE
    stderr: str = FILE
    environment: Mapping[str, str | None] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    real: bool = False
    works: bool = True
    tmp_bytes: int = 0


CONDITIONS: dict[str, Condition] = {
    "no stdin": Condition(stdin=CLOSED, works=False),
    "no stdout": Condition(stdout=CLOSED),
    "no stderr": Condition(stderr=CLOSED),
    "no streams": Condition(CLOSED, CLOSED, CLOSED, works=False),
    "stdout to head -n 1": Condition(stdout=HEAD),
    "stdout to nobody": Condition(stdout=GONE),
    "stderr to nobody": Condition(stderr=GONE),
    "full stdout": Condition(stdout="/dev/full", works=False),
    "full stderr": Condition(stderr="/dev/full"),
    "16 descriptors": Condition(limits={"RLIMIT_NOFILE": 16}, works=False),
    "terminal of 20 columns": Condition(stdout=TERMINAL, stderr=TERMINAL),
    "locale C": Condition(
        environment={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, real=True
    ),
    "no HOME": Condition(environment={"HOME": None, "XDG_CACHE_HOME": None}, real=True),
    "missing HOME": Condition(environment={"HOME": "/nowhere/at/all", "XDG_CACHE_HOME": None}),
    "missing TMPDIR": Condition(environment={"TMPDIR": "/nowhere/at/all"}),
    "TMPDIR that takes no file": Condition(environment={"TMPDIR": "/proc"}),
    "full TMPDIR": Condition(tmp_bytes=4096, works=False),
    "files of 4096 bytes": Condition(limits={"RLIMIT_FSIZE": MOST_BYTES}, works=False),
}  # fmt: skip
ON_STDOUT = ("no stdout", "stdout to head -n 1", "stdout to nobody", "full stdout", "terminal of 20 columns")
ON_STDIN = ("no stdin", "no streams")
_LABELLED = "--classes road,car,sky"
LINES: dict[str, tuple[str, tuple[int, ...]]] = {
    **{name: (command.arguments, command.codes) for name, command in COMMANDS.items()},
    "doctor": ("doctor", (0, 1)),
    "inspect": ("inspect {own}/net.onnx", (0,)),
    "inspect checkpoint": ("inspect {own}/net.safetensors", (0,)),
    "audit": ("audit {own}/net.onnx", (0, 4)),
    "help": ("quantize --help", (0,)),
    "version": ("--version", (0,)),
    "usage error": ("quantize", (2,)),
    "refusal": ("inspect {own}/list.txt", (1,)),
}
_READS_STDIN = {
    "predict a list from stdin": ("predict {own}/net.onnx - -o {out}/labels", (0,)),
    "watch a list from stdin": ("watch {own}/int8.onnx - --calib {own}/photos", (0, 3)),
    "check a list from stdin": (f"data check /dev/stdin {_LABELLED}", (0, 3)),
}
_PRINTS_JSON = {
    f"{name} --json -": (re.sub(r" --json \S+", "", line) + " --json -", codes)
    for name, (line, codes) in LINES.items()
    if name not in ("help", "version", "usage error", "refusal")
}
ALL_LINES = LINES | _READS_STDIN | _PRINTS_JSON
QUICK = ("inspect", "data check", "help", "check a list from stdin", "inspect --json -")


def _pairs() -> Iterator[Pair]:
    for name, condition in CONDITIONS.items():
        if not condition.tmp_bytes or can_mount():
            reading = ON_STDIN if name in ON_STDIN else ()
            lines = [*LINES, *(_READS_STDIN if reading else ()), *(_PRINTS_JSON if name in ON_STDOUT else ())]
            yield from ((name, line) for line in lines)


@dataclass(frozen=True)
class _Undisturbed:
    own: Path
    files: tuple[str, ...]
    out: str
    code: int


class _Streams:
    """Inputs and undisturbed runs, made once for each line, and a server that starts the program."""

    def __init__(self, base: Path) -> None:
        self.base, self.starter = base, Starter()
        base.mkdir()
        self._known: dict[str, _Undisturbed] = {}

    def undisturbed(self, name: str) -> _Undisturbed:
        if name not in self._known:
            line, codes = ALL_LINES[name]
            own = self.base / str(len(self._known))
            write_inputs(own, line)
            modules = self.base / "modules"
            done = self.attempt(own, name, Condition(), str(modules))
            assert done.code in codes, done.err
            names = modules.read_text(encoding="utf-8").split()
            self.starter.imports([name for name in names if not name.startswith("torch.")])  # they are order-bound
            self._known[name] = _Undisturbed(own, done.left, done.out, done.code)
        return self._known[name]

    def attempt(self, own: Path, name: str, condition: Condition, modules: str = "") -> Attempt:
        """Run a line; its outputs, temporary files and home are in a folder of its own."""
        root = self.base / "root"
        shutil.rmtree(root, ignore_errors=True)
        for folder in ("out", "tmp", "home"):
            (root / folder).mkdir(parents=True)
        words = [word.format(own=own, out=root / "out") for word in ALL_LINES[name][0].split()]
        environment = {"HOME": str(root / "home"), "XDG_CACHE_HOME": str(root / "home"), "TMPDIR": str(root / "tmp")}
        before = _times(own)
        with contextlib.ExitStack() as stack:
            if condition.tmp_bytes:
                stack.enter_context(tiny(root / "tmp", condition.tmp_bytes))
            limited = "RLIMIT_FSIZE" in condition.limits
            streams = (
                _listed(own, root, name) if condition.stdin == LIST else condition.stdin,
                stack.enter_context(stream(condition.stdout, root / "stdout", limited=limited)),
                stack.enter_context(stream(condition.stderr, root / "stderr", limited=limited)),
            )
            code = self.starter.run(Start(
                words, str(root), streams, environment | dict(condition.environment), condition.limits,
                condition.real, modules,
            ))  # fmt: skip
        texts = [_text(root / each) for each in ("stdout", "stderr")]
        left = tuple(sorted(str(path.relative_to(root / "out")) for path in (root / "out").rglob("*")))
        changed = tuple(path for path, state in _times(own).items() if before.get(path) != state)
        return Attempt(tuple(words), code, *texts, code == -signal.SIGKILL, root / "out", left, changed)


@cache
def _streams(base: Path) -> _Streams:
    found = _Streams(base)
    atexit.register(found.starter.close)
    return found


def _run(place: Place, case: str, command: str) -> Outcome:
    streams, condition = _streams(place.base / "streams"), CONDITIONS[case]
    known = streams.undisturbed(command)
    done = streams.attempt(known.own, command, condition)
    whole = {f"{name} was left" for name in known.files}  # several outputs are no transaction; `kills` compares bytes
    if done.code != known.code:
        silent = condition.stderr != FILE and done.code in (1, 2) and not done.changed
        found = [] if silent else [fault for fault in faults(done, refused=False) if fault not in whole]
        found += [f"exit code {done.code} instead of {known.code}"] if condition.works else []
        return Outcome(done.code, found, done.reason)
    found = [f"traceback: {done.reason}"] if "Traceback" in done.out + done.err else []
    found += [f"the user's {name} was changed" for name in done.changed]
    found += [f"the user's {name} is missing" for name in known.files if name not in done.left]
    found += [f"{name} was left" for name in done.left if name not in known.files]
    if condition.stdout == HEAD and len(done.out.splitlines()) != bool(known.out):
        found.append(f"its first line is missing: {done.out[:200]!r}")
    return Outcome(done.code, found, done.reason)


def _listed(own: Path, root: Path, name: str) -> str:
    """Return the file on standard input: a list of pairs, or of images, where the line reads one."""
    listed = root / "listed"
    pairs = "list.txt" if "check" in name else "photos"
    if name not in _READS_STDIN:
        return os.devnull
    found = [own / pairs] if (own / pairs).is_file() else sorted((own / pairs).iterdir())
    text = found[0].read_text(encoding="utf-8") if pairs == "list.txt" else "".join(f"{path}\n" for path in found)
    listed.write_text(re.sub(r"(\S+\.png)", rf"{own}/\1", text) if pairs == "list.txt" else text, encoding="utf-8")
    return str(listed)


def _text(path: Path) -> str:
    return _CONTROLS.sub("", path.read_text(encoding="utf-8", errors="replace")) if path.exists() else ""


def _times(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


KINDS = [
    Kind(
        "streams and descriptors", _pairs, _run, default=9,
        slow=tuple(name for name in ALL_LINES if name not in QUICK), patience_s=2 * DEADLINE_S,
    )
]  # fmt: skip
