"""Start the program with descriptors, limits and an environment of one's own: `python -m tests.hostile.start` serves.

The server imports what the commands need, once, and forks for each start; the new process gets its standard streams as
Python makes them. Where Python itself looks at the environment, a start is one of a new Python.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.hostile.kills.server import imported
from tests.hostile.line_server import LineServer

DEADLINE_S = 120.0
POLL_S = 0.002
CLOSED = ""
STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


@dataclass(frozen=True)
class Start:
    """How one process of the program starts.

    Attributes:
        streams: the paths of standard input, output and error; `CLOSED` closes one.
        environment: variables to set; None takes one out.
        limits: by the name of the limit, such as "RLIMIT_NOFILE".
        real: start a new Python.
        modules: a file for the names of what the process has imported.
    """

    arguments: list[str]
    folder: str
    streams: tuple[str, str, str]
    environment: Mapping[str, str | None] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    real: bool = False
    modules: str = ""


class Starter:
    """Starts programs; one server for all of them."""

    def __init__(self) -> None:
        self._server = LineServer("tests.hostile.start")

    def run(self, start: Start) -> int:
        """Return the exit code; -SIGKILL after `DEADLINE_S`."""
        return int(self._server.ask({"start": asdict(start)}))

    def imports(self, modules: list[str]) -> None:
        """Let the next starts find these modules imported."""
        self._server.ask({"import": modules})

    def close(self) -> None:
        self._server.close()


def _serve() -> Start | None:
    """Answer each line; in the process of a start, return it."""
    answers = os.fdopen(os.dup(1), "w")
    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        if "import" in request:
            imported(request["import"])
            print(0, file=answers, flush=True)
            continue
        start = Start(**request["start"])
        child = os.fork()
        if child == 0:
            _become(start)
            return start
        print(_wait(child), file=answers, flush=True)
    return None


def _become(start: Start) -> None:
    os.setsid()
    opened = [
        os.open(path, os.O_RDONLY if mode == "r" else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666) if path else -1
        for path, (_, mode) in zip(start.streams, STREAMS, strict=True)
    ]
    for descriptor, file in enumerate(opened):
        os.dup2(file, descriptor) if file >= 0 else os.close(descriptor)
    os.closerange(3, 64)
    for name, value in start.environment.items():
        os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)
    for limit, most in start.limits.items():
        resource.setrlimit(getattr(resource, limit), (most, most))
    os.chdir(start.folder)
    if start.real:
        os.execv(sys.executable, [sys.executable, "-m", "fcn_deploy", *start.arguments])
    tempfile.tempdir = None  # it may have been looked up on import
    for descriptor, (name, mode) in enumerate(STREAMS):
        buffering = 1 if name == "stderr" else -1
        stream = os.fdopen(descriptor, mode, buffering, "utf-8") if start.streams[descriptor] else None
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.argv = ["fcn-deploy", *start.arguments]


def _wait(child: int) -> int:
    """Return the exit code of a process, and end what it has started."""
    patience = time.monotonic() + DEADLINE_S
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > patience:
            os.killpg(child, signal.SIGKILL)
        time.sleep(POLL_S)


def _leave_modules(path: str) -> None:
    Path(path).write_text("\n".join(sys.modules), encoding="utf-8")


if __name__ == "__main__":
    given = _serve()
    if given is None:
        sys.exit(0)
    if given.modules:
        import atexit

        atexit.register(_leave_modules, given.modules)
    from fcn_deploy.__main__ import run

    run()
