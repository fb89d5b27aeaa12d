"""Run a function in a Python process of its own, and ask what this process may and does use.

A child prints marked lines of JSON on its standard output, whatever libraries print between them: messages, and at the
end an answer or an error. Its standard error goes to a temporary file, because a pipe is not read during the work and
a full one would halt it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import psutil

from fcn_deploy.errors import FcnDeployError
from fcn_deploy.system.serialization.plain import plain
from fcn_deploy.system.temporaries import choose_temporary_folder

_MARK = b"fcn_deploy.child "
_PARENT = "FCN_DEPLOY_PARENT"  # the process number of who started a child
_PR_SET_PDEATHSIG = 1
_ERRORS = {kind.__name__: kind for kind in FcnDeployError.__subclasses__()}
Message = Callable[[Any], None]


class ChildError(Exception):
    """A child without an answer; the text continues "its process ..." ("was ended by SIGSEGV")."""


def run_in_child(
    module: str,
    request: Any,
    *,
    on_message: Message = lambda message: None,
    on_start: Callable[[subprocess.Popen[bytes]], None] = lambda process: None,
    timeout_s: float | None = None,
    environment: Mapping[str, str] | None = None,
) -> Any:
    """Run `module`, which calls `answer_parent`, in a fresh process; Ctrl-C and any other exception end it at once.

    Args:
        request: what JSON can hold, for the child.
        on_message: gets each message of the child.
        on_start: gets the process, for another thread to end it.
        timeout_s: the child is ended after it.
        environment: more environment variables for the child.

    Returns:
        The child's answer, as JSON has it.

    Raises:
        FcnDeployError, OSError: what the child's function raised.
        ChildError: the child ended without an answer, or gave none in time.
    """
    started = time.monotonic()
    with tempfile.TemporaryFile() as errors:
        streams = {"stdout": subprocess.PIPE, "stderr": errors}
        child = start_module(module, json.dumps(request), environment=environment, **streams)
        timer = threading.Timer(timeout_s or threading.TIMEOUT_MAX, child.kill)
        try:
            timer.start()
            on_start(child)
            last = _last_word(child, on_message)
            child.communicate()
        except BaseException:
            child.kill()
            child.communicate()
            raise
        finally:
            timer.cancel()
        if last is not None:
            return _answer(last)
        if timeout_s is not None and time.monotonic() - started >= timeout_s:
            raise ChildError(f"gave no answer within {timeout_s:.0f} s")
        raise ChildError(how_it_ended(child.returncode, errors))


def start_module(
    module: str, *arguments: str, environment: Mapping[str, str] | None = None, **streams: Any
) -> subprocess.Popen[bytes]:
    """Start `python -m module` so that it finds the modules which this process finds, and writes UTF-8.

    Args:
        streams: `stdin`, `stdout` and `stderr` as for `subprocess.Popen`.
    """
    own = {
        _PARENT: str(os.getpid()),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONUTF8": "1",
        **(environment or {}),
    }
    return subprocess.Popen([sys.executable, "-m", module, *arguments], env=os.environ | own, **streams)


def how_it_ended(code: int, errors: IO[bytes]) -> str:
    """Say how a process ended that should have answered: "was ended by SIGSEGV", "ended with exit code 1: LINE".

    Args:
        errors: its standard error, whose last line says more.
    """
    errors.seek(0)
    lines = errors.read().decode(errors="replace").strip().splitlines()
    name = next((found.name for found in signal.Signals if found == -code), f"signal {-code}")
    how = f"was ended by {name}" if code < 0 else f"ended with exit code {code}"
    if name == "SIGKILL":
        how = "was killed (SIGKILL), often because memory ran out"
    return how + (f": {lines[-1]}" if lines else "")


def answer_parent(work: Callable[[Any, Message], Any]) -> None:
    """Be the child of `run_in_child`: call `work` with the request and a function for messages; send its result.

    Ctrl-C reaches every process of a terminal; the parent answers it. When the parent is gone, Linux ends this process;
    elsewhere the next line meets a closed pipe.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with_parent()
    choose_temporary_folder()
    try:
        _send(answer=plain(work(json.loads(sys.argv[1]), lambda message: _send(message=plain(message)))))
    except OSError as error:
        if error.errno is None:
            raise
        _send(errno=error.errno, filename=error.filename)
    except FcnDeployError as error:
        _send(error=type(error).__name__, text=str(error))


def _end_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends, which waits for it until then."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(os.environ.get(_PARENT, os.getppid())):  # it has ended before that
            os._exit(1)


def _send(**word: Any) -> None:
    print(f"\n{_MARK.decode()}{json.dumps(word)}", flush=True)


def _last_word(child: subprocess.Popen[bytes], on_message: Message) -> dict[str, Any] | None:
    """Pass messages on until the child closes its output; return its answer or error, None if it ended without one."""
    assert child.stdout is not None
    last = None
    for line in child.stdout:
        if line.startswith(_MARK):
            word = json.loads(line.removeprefix(_MARK))
            if "message" in word:
                on_message(word["message"])
            else:
                last = word
    return last


def _answer(word: dict[str, Any]) -> Any:
    if "errno" in word:
        raise OSError(word["errno"], os.strerror(word["errno"]), word["filename"])
    if "error" in word:
        raise _ERRORS.get(word["error"], FcnDeployError)(word["text"])
    return word["answer"]


def peak_bytes() -> int:
    """Return the highest resident memory of this process so far.

    Linux's ru_maxrss is of no use: a child starts with the value of the process that made it. VmHWM starts again.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS: bytes


def usable_cores() -> int:
    """Count the physical cores that this process may run on (an affinity mask or a container's CPU set)."""
    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return min(physical, len(os.sched_getaffinity(0)))
    return physical


@contextmanager
def redirected(sink: IO[Any], descriptor: int) -> Iterator[None]:
    """Send to `sink` what C and C++ code writes to a standard stream (descriptor 1 or 2) inside the block."""
    kept = os.dup(descriptor)
    try:
        os.dup2(sink.fileno(), descriptor)
        yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)
