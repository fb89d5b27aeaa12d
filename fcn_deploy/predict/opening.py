"""The runners that a model file is run by."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from ..errors import RunnerError
from ..inputs.artefact import Artefact
from ..progress import SILENT, Progress
from ..runners.base import Runner
from ..runners.registry import entry, open_runner

ENGINES = frozenset({".engine", ".plan", ".trt"})


def default_runner(source: str) -> str:
    """tensorrt for an engine, onnxruntime for an .onnx file, pytorch for a checkpoint, a recipe and "demo"."""
    suffix = Path(source).suffix.lower()
    return "tensorrt" if suffix in ENGINES else "onnxruntime" if suffix == ".onnx" else "pytorch"


def open_runners(
    source: str,
    stack: ExitStack,
    *,
    runner: str | None = None,
    model: str | None = None,
    threads: int | None = None,
    lanes: int = 1,
    progress: Progress = SILENT,
) -> list[Runner]:
    """`lanes` runners of one model, which `stack` closes.

    Args:
        source: an engine, an .onnx file, a checkpoint, a recipe or "demo".
        runner: spec as in `open_runner`; None for the default of the file's kind.
        model: what a checkpoint holds where its keys leave a choice.
        threads: CPU threads of each runner; None leaves the backend's own choice.

    Raises:
        UnknownNameError, RunnerError: there is no such runner, or it cannot run here or on this file.
        CheckpointError, GraphError, EngineError, ExportError, OutputError: the model cannot be read or exported.
    """
    spec = runner or default_runner(source)
    if Path(source).suffix.lower() in ENGINES or entry(spec).package == "pycuda":
        if entry(spec).package != "pycuda":
            raise RunnerError(f"{source} is an engine, which {spec} does not run; leave --runner out")
        if lanes > 1:
            raise RunnerError("an engine is fed by its own slots; leave --lanes out")
        return [stack.enter_context(open_runner(spec, source, threads=threads))]
    artefact = stack.enter_context(Artefact(source, progress, model=model))
    return [stack.enter_context(artefact.open(spec, threads=threads)) for _ in range(lanes)]
