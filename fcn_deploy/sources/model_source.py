"""One model file, whatever its kind: where it is, what it holds, and the runners that open it."""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from fcn_deploy.card import ModelCard
from fcn_deploy.engine.sidecar import read_sidecar, sidecar_path
from fcn_deploy.errors import EngineError, GraphError
from fcn_deploy.model_file import ERRORS, file_of, kind_of, require_file
from fcn_deploy.models.network import load_network
from fcn_deploy.network_size import size_words
from fcn_deploy.recipe import Recipe, load_recipe, resolve_checkpoint
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.engine_options import TrtOptions
from fcn_deploy.runners.registry import default_runner, entry, open_runner
from fcn_deploy.system.files import StrPath, sha256
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.system.scratch import scratch_folder
from fcn_deploy.vocabulary import LABELS, LOGITS, OUTPUTS, InputKind

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
        network_size: the size at which the network computes in place of its own, as `NetworkSize.text` writes it; None
            leaves it. All runners then open an ONNX file that is exported for it.
    """

    def __init__(
        self,
        source: StrPath,
        progress: Progress = SILENT,
        *,
        model: str | None = None,
        outputs: tuple[str, ...] = (LABELS,),
        network_size: str | None = None,
    ) -> None:
        """Find the file; `model` is that of `load_network`.

        Raises:
            GraphError, EngineError, CheckpointError, RecipeError: there is no such file.
            GraphError, EngineError: `model` is given for a file that says what it holds, or a network size for one
                that cannot get another.
        """
        require_file(source)
        self.text, self.kind, self.model = os.fspath(source), kind_of(os.fspath(source)), model
        if self.kind in ("onnx", "engine") and model is not None:
            raise ERRORS[self.kind](
                f"{self.text} says in its model card what it holds; --model is for checkpoints that do not"
            )
        if network_size is not None:
            self._check_sizable(network_size)
        self._progress, self.outputs, self.network_size = progress, outputs, network_size
        self._network: tuple[nn.Module, ModelCard] | None = None
        self._temporary = ExitStack()
        self._exported: Path | None = None

    @cached_property
    def path(self) -> Path:
        """The model's file: the demo's checkpoint for "demo", and for a recipe its checkpoint.

        Raises:
            RecipeError, CheckpointError: the recipe cannot be read, or its checkpoint is not there.
        """
        recipe = self.recipe
        return file_of(self.text) if recipe is None else resolve_checkpoint(recipe)

    @property
    def stem(self) -> str:
        """What the names of files made of it begin with: "fcn8s", "fcn8s-0.5" with a network size."""
        if self.network_size is None:
            return self.path.stem
        return f"{self.path.stem}-{size_words(self.network_size).replace(':', '')}"

    @property
    def name(self) -> str:
        """The name of its file; with a network size that of the exported one."""
        return self.path.name if self.network_size is None else f"{self.stem}.onnx"

    @property
    def is_file(self) -> bool:
        """Whether runners of ONNX files open the user's own file."""
        return self.kind == "onnx" and self.network_size is None

    @cached_property
    def recipe(self) -> Recipe | None:
        """The recipe, or None for a source of another kind; RecipeError if it cannot be read."""
        return load_recipe(Path(self.text)) if self.kind == "recipe" else None

    @property
    def default_runner(self) -> str:
        """The runner that opens a file of this kind as it is."""
        return default_runner(self.kind)

    def digest(self) -> tuple[str, int]:
        """SHA-256 and size in bytes of `path`, or of the file of another network size; without external data."""
        path = self.path if self.network_size is None else self.onnx_file()
        return sha256(path), path.stat().st_size

    def card(self) -> ModelCard | None:
        """Return the model card; None for an engine or ONNX file without one.

        Raises:
            CheckpointError, RecipeError, GraphError: the checkpoint, the recipe or the ONNX file cannot be read.
            EngineError: the engine's sidecar cannot be read.
        """
        if self.kind == "engine":
            return read_sidecar(self.path).card if sidecar_path(self.path).exists() else None
        if not self.is_file:
            return self.network()[1]
        from fcn_deploy.graph.load import find_card, load_graph

        return find_card(load_graph(self.path), self.path)

    def _check_sizable(self, size: str) -> None:
        """Raise GraphError or EngineError if no file of another network size can be made of this one."""
        if self.kind == "engine":
            raise EngineError(f"{self.text} is an engine, which is built for its network size; give the .onnx file")
        if self.kind != "onnx":
            return
        from fcn_deploy.graph.load import find_card, load_graph

        card = find_card(load_graph(Path(self.text)), Path(self.text))
        if card is not None and card.is_foreign:
            raise GraphError(
                f"{self.text} was adopted from another tool; for a network size of {size_words(size)}, adopt the given "
                f"file again with --network-size {size_words(size)}"
            )

    def network(self) -> tuple[nn.Module, ModelCard]:
        """Load the PyTorch network, which belongs to this source, and its card.

        Raises:
            FcnDeployError: as of `load_network`.
            ShapeError, ExportError: no such network size, or one below the network's stride.
        """
        if self._network is None:
            network, card = load_network(self.text, model=self.model, progress=self._progress)
            if self.network_size is not None:
                from fcn_deploy.onnx_export.export import with_network_size

                card = with_network_size(card, self.network_size)
            self._network = network, card
        return self._network

    def onnx_file(self) -> Path:
        """Return the ONNX file itself, or one exported with its proof, once, into a temporary folder.

        Raises:
            CheckpointError, EngineError, ExportError, OutputError: the source cannot be read or exported.
        """
        if self.is_file:
            return self.path
        if self._exported is None:
            from fcn_deploy.onnx_export.export import export_model

            network, card = self.network()
            target = self._temporary.enter_context(scratch_folder()) / f"{self.stem}.onnx"
            outputs, kind = self.exported_ports()
            export_model(network, card, target, outputs=outputs, input_kind=kind, progress=self._progress)
            self._exported = target
        return self._exported

    def exported_ports(self) -> tuple[tuple[str, ...], InputKind]:
        """Return the outputs and the kind of input that an exported file gets: those of the user's own ONNX file."""
        if self.kind == "onnx":
            from fcn_deploy.graph.load import load_graph
            from fcn_deploy.graph.ports import own_ports

            return own_ports(load_graph(self.path))
        return tuple(dict.fromkeys(name if name in OUTPUTS else LOGITS for name in (LABELS, *self.outputs))), "uint8"

    def file_for(self, spec: str) -> str:
        """Return the file that runner `spec` opens; a runner of ONNX files gets `onnx_file`, with its errors."""
        if self.kind == "engine":
            return str(self.path)
        made = entry(spec).opens == "onnx" or self.network_size is not None
        return str(self.onnx_file()) if made else self.text

    def open(
        self, spec: str, *, threads: int | None = None, engine: TrtOptions | None = None, lanes: int = 1
    ) -> Runner:
        """Open runner `spec` on this model, for as many `lanes`; raises as `open_runner` and `onnx_file` do."""
        file, given = self.file_for(spec), self.outputs
        return open_runner(spec, file, outputs=given, threads=threads, load=self.network, engine=engine, lanes=lanes)

    def note_for(self, spec: str) -> tuple[str, ...]:
        """Return notes on the file that runner `spec` opened."""
        if entry(spec).opens == "onnx" and not self.is_file:
            return (f"ran an ONNX file exported from {Path(self.text).name} for this run",)
        return ()

    def __enter__(self) -> ModelSource:
        return self

    def __exit__(self, *error: object) -> None:
        self._network = None
        self._temporary.close()
