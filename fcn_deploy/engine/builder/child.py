"""The build in a process of its own.

The builder may hold the interpreter for a minute and its oldest release cannot be asked to stop, but a process can be
ended at once. Its memory, several times the weights, goes back to the system with it, and a crash stays there.
"""

from __future__ import annotations

from typing import Any

from fcn_deploy.engine.builder.compile import Compiled, CompileJob, compile_plan
from fcn_deploy.engine.flavors import open_flavor
from fcn_deploy.errors import EngineError
from fcn_deploy.system.decode import decode
from fcn_deploy.system.plain import plain
from fcn_deploy.system.process import ChildError, Message, answer_parent, peak_bytes, run_in_child
from fcn_deploy.system.progress import SILENT, Progress


def compile_in_child(flavor: str, job: CompileJob, progress: Progress = SILENT) -> tuple[Compiled, int]:
    """Run `compile_plan` in a fresh process; Ctrl-C, and any other exception, ends that process at once.

    Returns:
        What was compiled, and the most resident memory in bytes that the process had.

    Raises:
        EngineError, MissingDependencyError: as `compile_plan`, or the process ended without an answer.
        OSError: the plan cannot be written.
    """
    request = {"flavor": flavor, "job": plain(job)}
    with progress.task(f"building {job.onnx.name}", None) as task:
        try:
            answer = run_in_child(__name__, request, on_message=lambda phase: task.advance(1, phase))
        except ChildError as error:
            raise EngineError(f"the builder's process {error}") from error
    return decode(Compiled, answer["compiled"], "the builder's answer", EngineError), answer["peak_bytes"]


def _compile(request: dict[str, Any], send: Message) -> dict[str, Any]:
    job = decode(CompileJob, request["job"], "the builder's job", EngineError)
    compiled = compile_plan(open_flavor(request["flavor"]), job, lambda name, steps: send(name))
    return {"compiled": compiled, "peak_bytes": peak_bytes()}


if __name__ == "__main__":
    answer_parent(_compile)
