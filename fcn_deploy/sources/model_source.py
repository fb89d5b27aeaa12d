"""One model file, whatever its kind: where it is, what it holds, and the runners that open it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from fcn_deploy.card import ModelCard
from fcn_deploy.engine.sidecar import read_sidecar, sidecar_path
from fcn_deploy.errors import RunnerError
from fcn_deploy.model_file import ERRORS, file_of, kind_of, require_file
from fcn_deploy.models.network import load_network
from fcn_deploy.recipe import Recipe, load_recipe, resolve_checkpoint
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.engine_options import TrtOptions
from fcn_deploy.runners.registry import default_runner, device_of, entry, open_runner
from fcn_deploy.system.files import StrPath, sha256
from fcn_deploy.system.process import usable_cores
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.vocabulary import LABELS, LOGITS, OUTPUTS

if TYPE_CHECKING:
    from torch import nn


class ModelSource:
    """A model that a user named: "demo", a checkpoint, a recipe, an .onnx file or an engine.

    The PyTorch network is read once for all who need it, and exported once. Use as a context manager: at its end the
    exported file is removed.

    Attributes:
        text: the name as the user wrote it.
        kind: what the name refers to.
        model: what a checkpoint holds where its keys leave a choice.
        outputs: the tensors that its runners give.
    """

    def __init__(
        self,
        source: StrPath,
        progress: Progress = SILENT,
        *,
        model: str | None = None,
        outputs: tuple[str, ...] = (LABELS,),
    ) -> None:
        """Find the file; `model` is that of `load_network`.

        Raises:
            GraphError, EngineError, CheckpointError, RecipeError: there is no such file.
            GraphError, EngineError: `model` is given for a file that says what it holds.
        """
        require_file(source)
        self.text, self.kind, self.model = os.fspath(source), kind_of(os.fspath(source)), model
        if self.kind in ("onnx", "engine") and model is not None:
            raise ERRORS[self.kind](
                f"{self.text} says in its model card what it holds; --model is for checkpoints that do not"
            )
        self._progress, self.outputs = progress, outputs
        self._network: tuple[nn.Module, ModelCard] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._exported: Path | None = None

    @cached_property
    def path(self) -> Path:
        """The model's file: the demo's checkpoint for "demo", and for a recipe its checkpoint.

        Raises:
            RecipeError, CheckpointError: the recipe cannot be read, or its checkpoint is not there.
        """
        recipe = self.recipe
        return file_of(self.text) if recipe is None else resolve_checkpoint(recipe)

    @cached_property
    def recipe(self) -> Recipe | None:
        """The recipe, or None for a source of another kind; RecipeError if it cannot be read."""
        return load_recipe(Path(self.text)) if self.kind == "recipe" else None

    @property
    def default_runner(self) -> str:
        """The runner that opens a file of this kind as it is."""
        return default_runner(self.kind)

    def digest(self) -> tuple[str, int]:
        """SHA-256 and size in bytes of `path`; external data of an ONNX file is not in it."""
        return sha256(self.path), self.path.stat().st_size

    def card(self) -> ModelCard | None:
        """Return the model card; None for an engine or ONNX file without one.

        Raises:
            CheckpointError, RecipeError, GraphError: the checkpoint, the recipe or the ONNX file cannot be read.
            EngineError: the engine's sidecar cannot be read.
        """
        if self.kind == "engine":
            return read_sidecar(self.path).card if sidecar_path(self.path).exists() else None
        if self.kind != "onnx":
            return self.network()[1]
        from fcn_deploy.graph.load import find_card, load_graph

        return find_card(load_graph(self.path), self.path)

    def network(self) -> tuple[nn.Module, ModelCard]:
        """Load the PyTorch network, which belongs to this source, and its card; see `load_network` for the errors."""
        if self._network is None:
            self._network = load_network(self.text, model=self.model, progress=self._progress)
        return self._network

    def onnx_file(self) -> Path:
        """Return the ONNX file itself, or one exported with its proof, once, into a temporary folder.

        Raises:
            CheckpointError, EngineError, ExportError, OutputError: the source cannot be read or exported.
        """
        if self.kind == "onnx":
            return self.path
        if self._exported is None:
            from fcn_deploy.onnx_export.export import export_model

            network, card = self.network()
            self._folder = tempfile.TemporaryDirectory(prefix="fcn-deploy-", ignore_cleanup_errors=True)
            target = Path(self._folder.name) / f"{self.path.stem}.onnx"
            wanted = tuple(dict.fromkeys(name if name in OUTPUTS else LOGITS for name in (LABELS, *self.outputs)))
            export_model(network, card, target, outputs=wanted, progress=self._progress)
            self._exported = target
        return self._exported

    def file_for(self, spec: str) -> str:
        """Return the file that runner `spec` opens; a runner of ONNX files gets `onnx_file`, with its errors."""
        if self.kind == "engine":
            return str(self.path)
        return str(self.onnx_file()) if entry(spec).opens == "onnx" else self.text

    def open(
        self, spec: str, *, threads: int | None = None, engine: TrtOptions | None = None, lanes: int = 1
    ) -> Runner:
        """Open runner `spec` on this model, for as many `lanes`; raises as `open_runner` and `onnx_file` do."""
        file, given = self.file_for(spec), self.outputs
        return open_runner(spec, file, outputs=given, threads=threads, load=self.network, engine=engine, lanes=lanes)

    def note_for(self, spec: str) -> tuple[str, ...]:
        """Return notes on the file that runner `spec` opened."""
        if entry(spec).opens == "onnx" and self.kind != "onnx":
            return (f"ran an ONNX file exported from {Path(self.text).name} for this run",)
        return ()

    def __enter__(self) -> ModelSource:
        return self

    def __exit__(self, *error: object) -> None:
        self._network = None
        if self._folder is not None:
            self._folder.cleanup()


# Two inferences of half the threads do more than one of all of them, which waits for the last thread of each layer.
USUAL_LANES = 2


def open_runners(
    source: ModelSource,
    stack: ExitStack,
    *,
    runner: str | None = None,
    threads: int | None = None,
    lanes: int | None = 1,
    engine: TrtOptions | None = None,
) -> list[Runner]:
    """Open `lanes` runners over one model's weights, which `stack` closes.

    Args:
        runner: spec as in `open_runner`; None for the default of the source's kind.
        threads: CPU threads of each runner; None shares the cores out, or leaves the backend's choice to one runner.
        lanes: inferences at a time, each with memory of its own; None for two on a CPU with cores for both, else one.
        engine: as for `open_runner`.

    Raises:
        FcnDeployError: as `ModelSource.open` does.
    """
    spec = runner or source.default_runner
    if entry(spec).opens == "engine" and lanes is not None and lanes > 1:
        raise RunnerError("an engine is fed by its own slots; leave --lanes out")
    shared = device_of(spec) == "cpu" and entry(spec).lanes  # several at a time pay
    wanted = lanes or (min(USUAL_LANES, usable_cores() // (threads or 1)) if shared else 1)
    if wanted > 1 and threads is None and shared:
        threads = max(usable_cores() // wanted, 1)
    first = stack.enter_context(source.open(spec, threads=threads, engine=engine, lanes=wanted))
    return [first, *_clones(first, wanted - 1, lanes, stack)]


def _clones(first: Runner, count: int, asked: int | None, stack: ExitStack) -> Iterator[Runner]:
    for _ in range(count):
        clone = first.clone()
        if clone is not None:
            yield stack.enter_context(clone)
        elif asked is not None:
            raise RunnerError(f"{first.name} runs one inference at a time; leave --lanes out")
