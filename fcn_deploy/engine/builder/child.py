"""The build in a process of its own.

The builder may hold the interpreter for a minute and its oldest release cannot be asked to stop, but a process can be
ended at once. Its memory, several times the weights, goes back to the system with it, and a crash stays there.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

from fcn_deploy.engine.builder.compile import Compiled, CompileJob, compile_plan
from fcn_deploy.engine.flavors import open_flavor
from fcn_deploy.errors import EngineError, FcnDeployError, MissingDependencyError
from fcn_deploy.system.decode import decode
from fcn_deploy.system.plain import plain
from fcn_deploy.system.process import child_environment, peak_bytes
from fcn_deploy.system.progress import SILENT, Progress

# Begins each line that is ours: the libraries may print too.
_MARK = "fcn_deploy.engine "
_ERRORS = {kind.__name__: kind for kind in (EngineError, MissingDependencyError)}


def compile_in_child(flavor: str, job: CompileJob, progress: Progress = SILENT) -> tuple[Compiled, int]:
    """`compile_plan` in a fresh process; Ctrl-C, and any other exception, ends that process at once.

    Returns:
        What was compiled, and the most resident memory in bytes that the process had.

    Raises:
        EngineError, MissingDependencyError: as `compile_plan`, or the process ended without a word.
        OSError: the plan cannot be written.
    """
    # Errors go to a file: nobody reads a pipe of them during the build, and a full one would halt it.
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, json.dumps({"flavor": flavor, "job": plain(job)})],
            stdout=subprocess.PIPE, stderr=errors, text=True, encoding="utf-8", errors="replace",
            env=child_environment(PYTHONUTF8="1"),
        )  # fmt: skip
        try:
            told = _follow(process, f"building {job.onnx.name}", progress)
            process.communicate()
        except BaseException:
            process.kill()
            process.communicate()
            raise
        if told is None:
            errors.seek(0)
            said = errors.read().decode(errors="replace")
            raise EngineError(f"the builder's process {_ending(process.returncode, said)}")
    if "compiled" not in told:
        raise _error(told)
    return decode(Compiled, told["compiled"], "the builder's answer", EngineError), told["peak_bytes"]


def _follow(process: subprocess.Popen[str], title: str, progress: Progress) -> Mapping[str, Any] | None:
    """Show the phases that the child tells; its last word, None if it ended without one."""
    assert process.stdout is not None
    last: Mapping[str, Any] | None = None
    with progress.task(title, None) as task:
        for line in process.stdout:
            if not line.startswith(_MARK):
                continue
            told = json.loads(line.removeprefix(_MARK))
            if "phase" in told:
                task.advance(1, told["phase"])
            else:
                last = told
    return last


def _ending(code: int, said: str) -> str:
    """How a process ended that should have told more."""
    how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
    memory = "; memory may have run out: close other programs, or build a smaller model" if code == -9 else ""
    lines = said.strip().splitlines()
    return how + memory + (f": {lines[-1]}" if lines else "")


def _error(told: Mapping[str, Any]) -> Exception:
    if "errno" in told:
        return OSError(told["errno"], os.strerror(told["errno"]), told["filename"])
    return _ERRORS.get(told["error"], FcnDeployError)(told["text"])


def _tell(**told: Any) -> None:
    print(_MARK + json.dumps(told), flush=True)


def main() -> None:
    """The child: one JSON job as argument, a line a phase, and a last line with the result or the error.

    Ctrl-C reaches every process of a terminal; here it is the parent's to answer. With the parent gone, the next line
    meets a closed pipe and ends this process.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    request = json.loads(sys.argv[1])
    try:
        flavor = open_flavor(request["flavor"])
        job = decode(CompileJob, request["job"], "the builder's job", EngineError)
        compiled = compile_plan(flavor, job, lambda name, steps: _tell(phase=name, steps=steps))
        _tell(compiled=plain(compiled), peak_bytes=peak_bytes())
    except OSError as error:
        _tell(errno=error.errno or 0, filename=error.filename)
    except FcnDeployError as error:
        _tell(error=type(error).__name__, text=str(error))


if __name__ == "__main__":
    main()
