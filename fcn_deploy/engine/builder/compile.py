"""Compile an ONNX file to a plan, in this process or in a child: parse, configure, build, read the builder's log.

The builder may hold the interpreter for a minute and its oldest release cannot be asked to stop, but a process can be
ended at once. Its memory, several times the weights, goes back to the system with it, and a crash stays there.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from fcn_deploy.engine.builder.layers import read_activation_bytes, read_layers
from fcn_deploy.engine.builder.options import BuildOptions, configure
from fcn_deploy.engine.builder.parse import Parsed, parse
from fcn_deploy.engine.builder.refit import refit
from fcn_deploy.engine.flavors import Flavor, open_flavor
from fcn_deploy.engine.logger import LogMessages, capture_log
from fcn_deploy.engine.sidecar import DTYPES, EngineLayer, SidecarPort, read_sidecar
from fcn_deploy.errors import EngineError
from fcn_deploy.system.files import write_bytes
from fcn_deploy.system.process import ChildError, Message, answer_parent, peak_bytes, run_in_child
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.system.serialization.decode import decode
from fcn_deploy.system.serialization.plain import plain
from fcn_deploy.vocabulary import Profile

ALL_DTYPES = {**DTYPES, "BF16": "bfloat16", "FP8": "float8_e4m3fn"}

OnPhase = Callable[[str, int], None]


@dataclass(frozen=True)
class CompileJob:
    """What to compile.

    Attributes:
        onnx, plan: the file to read and the one to write.
        image: the name of the image input; axes: positions of N, H and W in it.
        refit_from: an engine whose weights are exchanged in place of building.
        fp16, int8: whether the graph asks for them; only a library without typed networks needs them.
    """

    onnx: Path
    plan: Path
    image: str
    axes: tuple[int, int, int]
    profiles: tuple[Profile, ...]
    options: BuildOptions
    fp16: bool = False
    int8: bool = False
    refit_from: Path | None = None


@dataclass(frozen=True)
class Compiled:
    """The compiled plan; fields as in `sidecar.Sidecar`. `warnings` are the builder's own, each once."""

    plan_sha256: str
    plan_bytes: int
    inputs: tuple[SidecarPort, ...]
    outputs: tuple[SidecarPort, ...]
    layers: tuple[EngineLayer, ...]
    activation_bytes: tuple[int, ...]
    warnings: tuple[str, ...]
    seconds: float


def compile_plan(flavor: Flavor, job: CompileJob, on_phase: OnPhase = lambda name, steps: None) -> Compiled:
    """Build and write the plan.

    Args:
        on_phase: called with the name and steps of each phase when it starts; an exception in it ends the build.

    Raises:
        EngineError: the file is rejected or the build fails, in TensorRT's own words.
        OSError: the plan cannot be written.
    """
    started = time.perf_counter()
    with capture_log(flavor.module) as log:
        parsed = parse(flavor, job.onnx)
        for found in parsed.findings:
            names = "".join(f"node {name}: " for name in found.names)
            raise EngineError(f"{job.onnx.name}: {names}{found.problem}" + (f"; {found.fix}" if found.fix else ""))
        if job.refit_from is None:
            plan = _build(flavor, parsed, job, on_phase, log)
        else:
            plan = refit(flavor, job.refit_from, job.onnx, log)
    data = memoryview(plan)
    with ThreadPoolExecutor(1) as pool:  # half a gigabyte takes 0.3 s to hash, and as long to write
        digest = pool.submit(hashlib.sha256, data)
        with job.plan.open("wb") as stream:
            stream.write(data)
    network, (layers, activation_bytes) = parsed.network, _read_details(job, log)
    return Compiled(
        plan_sha256=digest.result().hexdigest(),
        plan_bytes=data.nbytes,
        inputs=tuple(_port(network.get_input(index)) for index in range(network.num_inputs)),
        outputs=tuple(_port(network.get_output(index)) for index in range(network.num_outputs)),
        layers=layers,
        activation_bytes=activation_bytes,
        warnings=tuple(dict.fromkeys(text for severity, text in log.messages if severity == "WARNING")),
        seconds=time.perf_counter() - started,
    )


def _read_details(job: CompileJob, log: LogMessages) -> tuple[tuple[EngineLayer, ...], tuple[int, ...]]:
    """Return the layers and the activation memory by profile, of the builder or of the engine that was refitted."""
    if job.refit_from is None:
        return read_layers(log.lines), read_activation_bytes(log.lines)
    old = read_sidecar(job.refit_from)
    return old.layers, tuple(size for size in old.activation_bytes if size is not None)


def _build(flavor: Flavor, parsed: Parsed, job: CompileJob, on_phase: OnPhase, log: LogMessages) -> Any:
    """Return the plan as the library's IHostMemory."""
    trt = flavor.module
    config = configure(flavor, parsed.builder, job.options, job.fp16, job.int8)
    for profile in job.profiles:
        _add_profile(parsed, config, job, profile, log)
    monitor = make_monitor(trt, on_phase) if flavor.traits.monitor else None
    if monitor is not None:
        config.progress_monitor = monitor
    if job.options.timing_cache is not None:
        _load_timing_cache(config, Path(job.options.timing_cache))
    plan = parsed.builder.build_serialized_network(parsed.network, config)
    if monitor is not None and monitor.raised is not None:
        raise monitor.raised
    if plan is None:
        fix = "" if job.options.workspace_bytes is None else "; a larger workspace, or none, may do (--workspace-mib)"
        raise EngineError(f"{flavor.title} cannot build {job.onnx.name}: {log.reason()}{fix}")
    if job.options.timing_cache is not None:
        write_bytes(Path(job.options.timing_cache), bytes(config.get_timing_cache().serialize()))
    return plan


def _add_profile(parsed: Parsed, config: Any, job: CompileJob, profile: Profile, log: LogMessages) -> None:
    """Add the three shapes of the image; its other dims are fixed by the file."""
    made = parsed.builder.create_optimization_profile()
    inputs = [parsed.network.get_input(index) for index in range(parsed.network.num_inputs)]
    dims = next(tuple(tensor.shape) for tensor in inputs if tensor.name == job.image)
    varying = [dict(zip(job.axes, shape, strict=True)) for shape in (profile.min, profile.opt, profile.max)]
    made.set_shape(job.image, *(tuple(given.get(axis, dim) for axis, dim in enumerate(dims)) for given in varying))
    if config.add_optimization_profile(made) < 0:
        raise EngineError(f"the builder refuses profile {profile}: {log.reason()}")


def _load_timing_cache(config: Any, path: Path) -> None:
    """Raise EngineError if the file is there and of another library, release or GPU."""
    cache = config.create_timing_cache(path.read_bytes() if path.is_file() else b"")
    if cache is None or not config.set_timing_cache(cache, False):
        raise EngineError(f"{path} is no timing cache of this library and GPU; delete it or name another file")


def _port(tensor: Any) -> SidecarPort:
    name = tensor.dtype.name
    return SidecarPort(tensor.name, ALL_DTYPES.get(name, name.lower()), tuple(tensor.shape))


def make_monitor(trt: ModuleType, on_phase: OnPhase) -> Any:
    """Return an IProgressMonitor that reports the name and number of steps of each phase when it starts.

    What `on_phase` raises is kept in `raised` and ends the build at its next step; the build then returns None.
    """
    base: Any = trt.IProgressMonitor

    class Monitor(base):  # type: ignore[misc]
        def __init__(self) -> None:
            base.__init__(self)
            self.raised: BaseException | None = None

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            try:
                on_phase(phase_name, num_steps)
            except BaseException as error:  # must not pass through the library's own frames
                self.raised = self.raised or error

        def step_complete(self, phase_name: str, step: int) -> bool:
            return self.raised is None

        def phase_finish(self, phase_name: str) -> None:
            return None

    return Monitor()


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
