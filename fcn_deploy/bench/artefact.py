"""The file that each runner opens: the one that was given, or an ONNX file exported from it for the occasion."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import TracebackType

from ..errors import CheckpointError, GraphError
from ..files import sha256
from ..progress import SILENT, Progress
from ..runners.reference import DEMO, load_reference
from ..runners.registry import entry
from ..spec import ModelCard


class Artefact:
    """A model given as "demo", a checkpoint or an .onnx file. As a context manager it removes what it exported."""

    def __init__(self, source: str, progress: Progress = SILENT) -> None:
        self.source = source
        self._progress = progress
        self._folder = tempfile.TemporaryDirectory(prefix="fcn-deploy-", ignore_cleanup_errors=True)
        self._exported: str | None = None

    @property
    def is_onnx(self) -> bool:
        return Path(self.source).suffix.lower() == ".onnx"

    @property
    def path(self) -> Path:
        """The file behind the source."""
        if self.source == DEMO:
            from ..models.checkpoints import demo_path

            return demo_path()
        return Path(self.source)

    def card(self) -> ModelCard | None:
        """The model card; None for an ONNX file that holds none (or that the runners will find unreadable).

        Raises:
            CheckpointError: the checkpoint cannot be read.
        """
        if not self.is_onnx:
            return load_reference(self.source)[1]
        from ..graph.state import read_card

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
            from ..graph.export import export_model

            network, card = load_reference(self.source)
            target = Path(self._folder.name) / f"{self.path.stem}.onnx"
            export_model(network, card, target, progress=self._progress)
            self._exported = str(target)
        return self._exported

    def note_for(self, spec: str) -> tuple[str, ...]:
        """What a reader should know of the file that runner `spec` opened."""
        if entry(spec).needs_onnx and not self.is_onnx:
            return (f"ran an ONNX file exported from {Path(self.source).name} for this run",)
        return ()

    def digest(self) -> tuple[str, int]:
        """SHA-256 and size in bytes of the file behind the source; external data of an ONNX file is not in it.

        Raises:
            GraphError, CheckpointError: there is no such file.
        """
        if not self.path.is_file():
            kind = GraphError if self.is_onnx else CheckpointError
            raise kind(f"{self.path} does not exist; needed is an .onnx file, a checkpoint, or demo")
        return sha256(self.path), self.path.stat().st_size

    def __enter__(self) -> Artefact:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()
