"""Import once, fork per attempt: `python -m tests.hostile.kills.server PLAN`, jobs on standard input.

Each line has the jobs that run at once. The server imports what the commands need and runs nothing, so that it has one
thread. Each job is the program in a process that was forked, from its first line to the end of Python; what it prints
goes to files.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.hostile.kills.shim import Fault, Plan

POLL_S = 0.002
# Their import starts a thread, which a fork does not copy; each attempt imports them for itself.
THREADED = ("onnxruntime", "openvino")


@dataclass(frozen=True)
class Job:
    """One attempt.

    Attributes:
        root: the folder whose files count; standard output and error go to `root`.`number`.out and .err.
        delay_s: time between the start of the job before and this one's, which run at once.
        after_s: send `signal` to the process after this time.
    """

    arguments: list[str]
    root: str
    environment: dict[str, str]
    fault: dict[str, Any]
    after_s: float | None = None
    signal: int = 0
    deadline_s: float = 120.0
    modules: bool = False
    number: int = 0
    delay_s: float = 0.0


class _Refusing:
    """Finds what starts threads, as PyTorch asks for where it lies, and refuses to import it."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        found = PathFinder.find_spec(name, path, target) if name.split(".")[0] in THREADED else None
        if found is not None:
            found.loader = _Refusing()  # type: ignore[assignment]
        return found

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        raise ImportError(spec.name)

    def exec_module(self, module: ModuleType) -> None: ...


def imported(modules: list[str]) -> None:
    """Import what an undisturbed run has imported; what cannot be imported by itself is left to the command."""
    sys.meta_path.insert(0, _Refusing)  # type: ignore[arg-type]
    for name in modules:
        if name.split(".")[0] != "__main__" and name not in sys.modules:
            try:
                import_module(name)
            except BaseException:
                continue
    sys.meta_path.remove(_Refusing)  # type: ignore[arg-type]
    threads = len(list(Path("/proc/self/task").iterdir()))
    assert threads == 1, f"an import started {threads - 1} threads"
    gc.collect()
    gc.freeze()  # a million objects, which each collection of an attempt would look at


def serve(plan: Plan) -> Job | None:
    """Answer each line, of modules to import or of jobs to run at once; in the process of a job, return the job."""
    answers = os.fdopen(os.dup(1), "w")
    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        if "import" in request:
            imported(request["import"])
            print("{}", file=answers, flush=True)
            continue
        started = []
        for job in (Job(**each) for each in request["jobs"]):
            time.sleep(job.delay_s)
            child = os.fork()
            if child == 0:
                _prepare(job, plan)
                return job
            started.append((child, job))
        print(json.dumps([_watch(child, job, plan) for child, job in started]), file=answers, flush=True)
    return None


def _prepare(job: Job, plan: Plan) -> None:
    os.setsid()
    null = os.open(os.devnull, os.O_RDONLY)
    names = [f"{job.root}.{job.number}.{name}" for name in ("out", "err")]
    files = [os.open(name, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o666) for name in names]
    for descriptor, file in enumerate([null, *files]):
        os.dup2(file, descriptor)
    os.closerange(3, 64)
    os.environ.update(job.environment)
    tempfile.tempdir = None  # it may have been looked up on import
    os.chdir(job.root)
    sys.argv = ["fcn-deploy", *job.arguments]
    plan.arm(Fault(**job.fault), os.getpid(), Path(job.root))


def _watch(child: int, job: Job, plan: Plan) -> dict[str, Any]:
    started = time.monotonic()
    sent = hung = False
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        seconds = time.monotonic() - started
        if ended:
            break
        if job.after_s is not None and not sent and seconds >= job.after_s:
            os.kill(child, job.signal)
            sent = True
        if seconds > job.deadline_s:
            os.kill(child, signal.SIGKILL)
            hung = True
            _, status = os.waitpid(child, 0)
            break
        time.sleep(POLL_S)
    count, happened, what = plan.disarm()
    return {
        "code": os.waitstatus_to_exitcode(status), "seconds": seconds, "operations": count, "hung": hung,
        "happened": happened or sent, "what": what, "left": _others(child),
    }  # fmt: skip


def _others(session: int) -> int:
    """Wait for the processes that a command started; return how many outlive it by more than a second, and end them."""
    patience = time.monotonic() + 1.0
    while (found := _of_session(session)) and time.monotonic() < patience:
        time.sleep(0.01)
    for process in found:
        os.kill(process, signal.SIGKILL)
    return len(found)


def _of_session(session: int) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(folder.name))
    return found


def _modules(job: Job) -> None:
    """Leave the names of what the run has imported, for the server to import before the next."""
    Path(f"{job.root}.modules").write_text("\n".join(sys.modules), encoding="utf-8")


def job(arguments: list[str], root: Path, environment: dict[str, str], **more: Any) -> dict[str, Any]:
    """Return a job as a line's plain data."""
    fault = more.pop("fault", Fault())
    return asdict(Job(arguments, str(root), environment, asdict(fault), **more))


if __name__ == "__main__":
    given = serve(Plan(Path(sys.argv[1])))
    if given is None:
        sys.exit(0)
    if given.modules:
        import atexit

        atexit.register(_modules, given)
    from fcn_deploy.__main__ import run

    run()
