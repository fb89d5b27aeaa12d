"""Make the files that candidates open: those of each network size from the model exported at it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from fcn_deploy.benchmark.model_files import ModelFiles
from fcn_deploy.choice.candidates import Candidate
from fcn_deploy.data.options import DataOptions
from fcn_deploy.runners.base import Runner
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.progress import Progress

CACHE = "calibration{}.cache"


class CandidateFiles:
    """The files of one model by network size; each is made once.

    Attributes:
        source: the model as the user named it.
    """

    def __init__(
        self,
        source: ModelSource,
        folder: Path,
        stack: ExitStack,
        *,
        calibration: DataOptions | None,
        caches: Path,
        progress: Progress,
    ) -> None:
        """`folder` gets the files, `caches` the ranges of each size; `stack` removes what was exported."""
        self.source = source
        self._folder, self._caches, self._stack = folder, caches, stack
        self._calibration, self._progress = calibration, progress
        self._files: dict[str | None, ModelFiles] = {}

    def of(self, candidate: Candidate) -> ModelFiles:
        """Return what makes the files of the candidate's network size; errors as of `ModelSource`."""
        size = candidate.network_size
        if size not in self._files:
            source = self.source
            if size is not None:
                source = ModelSource(source.text, self._progress, model=source.model, network_size=size)
                self._stack.enter_context(source)
            name = CACHE.format(source.stem.removeprefix(self.source.stem))
            self._files[size] = ModelFiles(
                source,
                self._folder,
                calibration=self._calibration,
                cache=self._caches / name,
                progress=self._progress,
            )
        return self._files[size]

    def open(self, candidate: Candidate, *, threads: int | None = None) -> Runner:
        """Open a candidate's runner, under the candidate's name."""
        runner = self.of(candidate).open(candidate.spec, threads=threads)
        runner.name = candidate.name
        return runner

    def onnx_for(self, candidate: Candidate) -> Path:
        """Return the ONNX file that a candidate's runner opens, or that its engine is built from."""
        return Path(self.of(candidate).onnx_for(candidate.spec))
