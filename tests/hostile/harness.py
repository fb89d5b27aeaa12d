"""Run one command on one hostile input in this process, and say what it did that it must not.

`attempt` runs `fcn-deploy ARGUMENTS` as a shell does, with a deadline, and `faults` lists what is wrong: a traceback, a
hang, exit code 0, no reason as the last line on standard error, a file left behind, a file of the user changed.
A library that crashes takes its process along: `tests/hostile/crowd.py` runs many attempts in a child.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import re
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from fcn_deploy.system.escape import visible

DEADLINE_S = 10.0
LONGEST_REASON = 1000  # characters: a screen of lines
PRINTED = ("stdout.txt", "stderr.txt")  # next to the folder of the outputs
TRACEBACK = -999  # the exit code of an attempt whose command raised

_USAGE = re.compile(r" \(see fcn-deploy[a-z -]* --help\)$")
_FAILED_ROW = re.compile(r"error: (pytorch|onnxruntime|openvino|tensorrt)[\w:+-]*: ")


class HangError(BaseException):
    """The deadline is over; no `except Exception` of the program catches it."""


@dataclass(frozen=True)
class Attempt:
    """What a shell sees of a command that has ended.

    Attributes:
        code: the exit code; `TRACEBACK` where the command raised, and `hung` where it did not end in time.
        left: files in the folder of the outputs afterwards.
        changed: files of the user that are no longer as they were.
    """

    arguments: tuple[str, ...]
    code: int
    out: str
    err: str
    hung: bool = False
    outputs: Path = Path()
    left: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """The last line on standard error."""
        return next(iter(self.err.strip().splitlines()[-1:]), "")


def attempt(
    arguments: Sequence[object], *, outputs: Path, inputs: Path | None = None, deadline_s: float | None = None
) -> Attempt:
    """Run the command; `outputs` is the folder that it may write into, `inputs` one whose files must stay."""
    words = tuple(map(str, arguments))
    before = _contents(inputs)
    printed = outputs.parent / PRINTED[0], outputs.parent / PRINTED[1]
    with _captured(*printed):
        code, hung = _run(words, DEADLINE_S if deadline_s is None else deadline_s)
    out, err = (path.read_text(encoding="utf-8", errors="replace") for path in printed)
    left = tuple(sorted(str(path.relative_to(outputs)) for path in outputs.rglob("*"))) if outputs.exists() else ()
    after = _contents(inputs)
    changed = tuple(sorted(name for name in before | after if before.get(name) != after.get(name)))
    return Attempt(words, code, out, err, hung, outputs, left, changed)


def faults(done: Attempt, *, refused: bool = True) -> list[str]:
    """Return what is wrong with an attempt; `refused` is whether it had to be, else it may also have succeeded."""
    if done.hung:
        return ["hang"]
    if done.code == TRACEBACK or "Traceback (most recent call last)" in done.out + done.err:
        return [f"traceback: {done.reason[:200]}"]
    found = [f"the user's {name} was changed" for name in done.changed]
    if done.code == 0:
        return [*found, "exit code 0"] if refused else found
    if not refused and done.out and done.code in (1, 3, 4) and not done.reason.startswith("error: "):
        return found  # a verdict, as of `audit` and `diagnose`
    if not refused and done.out and done.code == 1 and done.arguments[0] == "bench" and _FAILED_ROW.match(done.reason):
        return found  # the result of the other rows
    if done.code not in (1, 2):
        found.append(f"exit code {done.code}")
    return [*found, *_no_one_line(done, refused=refused)] + [
        f"{name} was left" for name in done.left if not _resumes(done, name)
    ]


def _no_one_line(done: Attempt, *, refused: bool) -> Iterator[str]:
    """Say what a refusal has on its streams beside notices and, as the last line on standard error, the reason."""
    if not done.reason.startswith("error: "):
        yield f"the last line is no reason: {done.reason[:200]}"
        return
    if sum(line.startswith("error: ") for line in done.err.splitlines()) > 1:
        yield "several reasons"
    if visible(done.reason) != done.reason:
        yield f"a terminal would obey a part of the reason: {done.reason[:200]!r}"
    if len(done.reason) > LONGEST_REASON:
        yield f"the reason has {len(done.reason):,} characters"
    if (done.code == 2) != bool(_USAGE.search(done.reason)):
        yield f"exit code {done.code} of this reason: {done.reason[:200]}"
    if refused and done.out and not done.reason.startswith("error: cannot write "):  # which would lose it
        yield f"a refusal has a result: {done.out[:200]!r}"


def _resumes(done: Attempt, name: str) -> bool:
    """Tell whether a file left by `choose` is its log of at least one whole step, or the folder of it, and was named.

    Such a log is an output that the command's help promises: the same command continues from it.
    """
    if done.arguments[0] != "choose":
        return False
    path = done.outputs / name
    if path.is_dir():
        return all(_resumes(done, str(each.relative_to(done.outputs))) for each in path.iterdir())
    if path.name != "log.jsonl" or f"choice log {path}: " not in done.err:
        return False
    header, *steps = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return header["kind"] == "choice" and bool(steps) and all("step" in step for step in steps)


def _run(words: tuple[str, ...], deadline_s: float) -> tuple[int, bool]:
    from fcn_deploy.cli.main import main

    def stop(number: int, frame: FrameType | None) -> None:
        raise HangError

    argv, sys.argv = sys.argv, ["fcn-deploy", *words]
    handlers = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    old = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, deadline_s)
    faulthandler.dump_traceback_later(6 * deadline_s, exit=True, file=sys.__stderr__)  # inside a library
    try:
        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0, False
    except HangError:
        return TRACEBACK, True
    except BaseException:
        traceback.print_exc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, old)
        sys.argv = argv
        for each, handler in handlers.items():
            signal.signal(each, handler)
    return TRACEBACK, False


@contextlib.contextmanager
def _captured(out: Path, err: Path) -> Iterator[None]:
    """Write into two files what Python prints and what libraries print past it, in one order."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    kept = os.dup(1), os.dup(2)
    try:
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(path.open("w", encoding="utf-8", buffering=1)) for path in (out, err)]
            for descriptor, file in enumerate(files, 1):
                os.dup2(file.fileno(), descriptor)
            stack.enter_context(contextlib.redirect_stdout(files[0]))
            stack.enter_context(contextlib.redirect_stderr(files[1]))
            yield
    finally:
        for descriptor, old in enumerate(kept, 1):
            os.dup2(old, descriptor)
            os.close(old)


def _contents(folder: Path | None) -> Mapping[str, tuple[int, int]]:
    """Return the size and the time of the last change of each file, links not followed."""
    if folder is None:
        return {}
    found: dict[str, tuple[int, int]] = {}
    for parent, _, names in os.walk(folder):
        for path in (Path(parent, name) for name in names):
            state = path.lstat()
            found[str(path.relative_to(folder))] = state.st_size, state.st_mtime_ns
    return found
