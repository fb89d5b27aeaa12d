"""The runners that a model file is run by."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from fcn_deploy.card import ModelCard
from fcn_deploy.engine.sidecar import read_sidecar, sidecar_path
from fcn_deploy.errors import EngineError, RunnerError
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.registry import device_of, entry, open_runner
from fcn_deploy.sources.model_source import Artefact
from fcn_deploy.system.process import usable_cores
from fcn_deploy.system.progress import SILENT, Progress

ENGINES = frozenset({".engine", ".plan", ".trt"})

# Two inferences of half the threads do more than one of all of them, which waits for the last thread of each layer.
USUAL_LANES = 2


def default_runner(source: str) -> str:
    """tensorrt for an engine, onnxruntime for an .onnx file, pytorch for a checkpoint, a recipe and "demo"."""
    suffix = Path(source).suffix.lower()
    return "tensorrt" if suffix in ENGINES else "onnxruntime" if suffix == ".onnx" else "pytorch"


def card_of(source: str, model: str | None = None, progress: Progress = SILENT) -> ModelCard | None:
    """The model card of whatever `open_runners` takes, without a runner; None where the file holds none.

    Raises:
        CheckpointError, GraphError, EngineError: there is no such file, or it cannot be read.
    """
    if Path(source).suffix.lower() in ENGINES:
        return _engine_card(Path(source))
    with Artefact(source, progress, model=model) as artefact:
        artefact.digest()
        return artefact.card()


def _engine_card(path: Path) -> ModelCard | None:
    if not path.is_file():
        raise EngineError(f"{path} does not exist; needed is an engine")
    return read_sidecar(path).card if sidecar_path(path).exists() else None


def open_runners(
    source: str,
    stack: ExitStack,
    *,
    runner: str | None = None,
    model: str | None = None,
    threads: int | None = None,
    lanes: int | None = 1,
    progress: Progress = SILENT,
) -> list[Runner]:
    """`lanes` runners over one model's weights, which `stack` closes.

    Args:
        source: an engine, an .onnx file, a checkpoint, a recipe or "demo".
        runner: spec as in `open_runner`; None for the default of the file's kind.
        model: what a checkpoint holds where its keys leave a choice.
        threads: CPU threads of each runner; None shares the cores out, or leaves the backend's choice to one runner.
        lanes: inferences at a time, each with memory of its own; None for two on a CPU with cores for both, else one.

    Raises:
        UnknownNameError, RunnerError: there is no such runner, or it cannot run here or on this file.
        CheckpointError, GraphError, EngineError, ExportError, OutputError: the model cannot be read or exported.
    """
    spec = runner or default_runner(source)
    if Path(source).suffix.lower() in ENGINES or entry(spec).package == "pycuda":
        if entry(spec).package != "pycuda":
            raise RunnerError(f"{source} is an engine, which {spec} does not run; leave --runner out")
        if lanes is not None and lanes > 1:
            raise RunnerError("an engine is fed by its own slots; leave --lanes out")
        return [stack.enter_context(open_runner(spec, source, threads=threads))]
    artefact = stack.enter_context(Artefact(source, progress, model=model))
    wanted = lanes or (min(USUAL_LANES, usable_cores() // (threads or 1)) if _has_lanes(spec) else 1)
    if wanted > 1 and threads is None and _has_lanes(spec):
        threads = max(usable_cores() // wanted, 1)
    first = stack.enter_context(artefact.open(spec, threads=threads))
    return [first, *_twins(first, wanted - 1, lanes, stack)]


def _has_lanes(spec: str) -> bool:
    """On a GPU one inference at a time; OpenVINO has no twins, and one of its inferences should have all cores."""
    return device_of(spec) == "cpu" and entry(spec).package != "openvino"


def _twins(first: Runner, count: int, asked: int | None, stack: ExitStack) -> Iterator[Runner]:
    for _ in range(count):
        twin = first.twin()
        if twin is not None:
            yield stack.enter_context(twin)
        elif asked is not None:
            raise RunnerError(f"{first.name} runs one inference at a time; leave --lanes out")
