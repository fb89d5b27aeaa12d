"""The file that each runner opens: the one that was given, or an ONNX file exported from it for the occasion."""

from __future__ import annotations

import tempfile
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import CheckpointError, GraphError
from fcn_deploy.models.demo import named_file
from fcn_deploy.models.network import load_reference
from fcn_deploy.recipe import checkpoint_of
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.registry import entry, open_runner
from fcn_deploy.system.files import sha256
from fcn_deploy.system.progress import SILENT, Progress

if TYPE_CHECKING:
    from torch import nn


class Artefact:
    """A model given as "demo", a checkpoint, a recipe or an .onnx file.

    The PyTorch network is read once for all who need it. As a context manager it removes what it exported.
    """

    def __init__(self, source: str, progress: Progress = SILENT, *, model: str | None = None) -> None:
        """`model` is what a checkpoint holds where its keys leave a choice; GraphError with an .onnx file."""
        self.source, self.model = source, model
        if self.is_onnx and model is not None:
            raise GraphError(f"{source} says in its model card what it holds; --model is for checkpoints that do not")
        self._progress = progress
        self._loaded: tuple[nn.Module, ModelCard] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._exported: str | None = None

    @property
    def is_onnx(self) -> bool:
        return Path(self.source).suffix.lower() == ".onnx"

    @cached_property
    def path(self) -> Path:
        """The file behind the source: for a recipe its checkpoint.

        Raises:
            RecipeError, CheckpointError: the recipe cannot be read, or its checkpoint is not there.
        """
        return checkpoint_of(named_file(self.source))

    def load(self) -> tuple[nn.Module, ModelCard]:
        """The PyTorch network, which belongs to this artefact, and its card.

        Raises:
            CheckpointError, GraphError: as for `load_reference`.
        """
        if self._loaded is None:
            self._loaded = load_reference(self.source, model=self.model, progress=self._progress)
        return self._loaded

    def card(self) -> ModelCard | None:
        """The model card; None for an ONNX file that holds none (or that the runners will find unreadable).

        Raises:
            CheckpointError: the checkpoint cannot be read.
        """
        if not self.is_onnx:
            return self.load()[1]
        from fcn_deploy.graph.load import read_card

        try:
            return read_card(self.path)
        except GraphError:
            return None

    def file_for(self, spec: str) -> str:
        """What runner `spec` opens; exports once, with its proof, if the runner needs ONNX and the source is none.

        Raises:
            CheckpointError, ExportError, OutputError: the source cannot be read or exported.
        """
        if not entry(spec).needs_onnx or self.is_onnx:
            return self.source
        if self._exported is None:
            from fcn_deploy.onnx_export.export import export_model

            network, card = self.load()
            self._folder = tempfile.TemporaryDirectory(prefix="fcn-deploy-", ignore_cleanup_errors=True)
            target = Path(self._folder.name) / f"{self.path.stem}.onnx"
            export_model(network, card, target, progress=self._progress)
            self._exported = str(target)
        return self._exported

    def open(self, spec: str, *, threads: int | None = None) -> Runner:
        """Open runner `spec` on this model.

        Raises:
            RunnerError, UnknownNameError: as for `open_runner`.
            CheckpointError, GraphError, ExportError, OutputError: the source cannot be read or exported.
        """
        return open_runner(spec, self.file_for(spec), threads=threads, load=self.load)

    def note_for(self, spec: str) -> tuple[str, ...]:
        """What a reader should know of the file that runner `spec` opened."""
        if entry(spec).needs_onnx and not self.is_onnx:
            return (f"ran an ONNX file exported from {Path(self.source).name} for this run",)
        return ()

    def digest(self) -> tuple[str, int]:
        """SHA-256 and size in bytes of the file behind the source; external data of an ONNX file is not in it.

        Raises:
            GraphError, CheckpointError, RecipeError: there is no such file.
        """
        if not self.path.is_file():
            kind = GraphError if self.is_onnx else CheckpointError
            found = "is a folder" if self.path.is_dir() else "does not exist"
            raise kind(f"{self.path} {found}; needed is an .onnx file, a checkpoint, a recipe (.toml), or demo")
        return sha256(self.path), self.path.stat().st_size

    def __enter__(self) -> Artefact:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loaded = None
        if self._folder is not None:
            self._folder.cleanup()
