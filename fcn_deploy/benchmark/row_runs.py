"""Open the rows of a benchmark, and hold what has been measured of them so far."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from fcn_deploy.benchmark.model_files import ModelFiles
from fcn_deploy.benchmark.record import types as rec
from fcn_deploy.benchmark.record.measurement import Accuracy, Measurement
from fcn_deploy.benchmark.runner_specs import RunnerSpec
from fcn_deploy.errors import FcnDeployError, GraphError, MissingDependencyError, RunnerError, UnknownNameError
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.registry import entry
from fcn_deploy.vocabulary import Shape, Size, shape_text

# Another machine or installation could have opened the same file.
ABOUT_MACHINE = (RunnerError, MissingDependencyError)


@dataclass
class RowRun:
    """One runner while it is measured; `row` returns what was found.

    Attributes:
        label: of the model, as in `rec.Row.file`; `model`: what its checkpoint holds, where the keys leave a choice.
        file: what the runner opened.
        error: why it was not opened.
        found: what was measured, by N, H, W of the images; under None on the data set's own sizes.
        accuracy: on resized images, by H, W.
    """

    spec: RunnerSpec
    label: str = ""
    model: str | None = None
    status: rec.Status = "ok"
    reason: str = ""
    notes: list[str] = field(default_factory=list)
    built: rec.Built | None = None
    file: str = ""
    opened: rec.OpenedFile | None = None
    runner: Runner | None = None
    error: FcnDeployError | None = None
    found: dict[Shape | None, Measurement] = field(default_factory=dict)
    accuracy: dict[Size, Accuracy] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return rec.named(self.label, self.spec.text)

    @property
    def ok(self) -> bool:
        return self.status == "ok"

    @property
    def resized(self) -> list[Shape]:
        """N, H, W of the resized images that the row was timed on."""
        return [shape for shape in self.found if shape is not None]

    def keep(self, shape: Shape | None, **parts: Any) -> None:
        """Add parts of a `Measurement` on images of `shape`."""
        self.found[shape] = replace(self.found.get(shape) or Measurement(shape), **parts)

    def fail(self, reason: str) -> None:
        self.status, self.reason = "failed", reason

    def fail_at(self, shape: Shape | None, reason: str, doing: str = "") -> None:
        """Fail the row on the data set's own sizes; on resized images, which may be too large, leave a note."""
        if shape is None:
            self.fail(reason)
        else:
            self.notes.append(f"{shape_text(shape)}{doing}: {reason}")

    def row(self) -> rec.Row:
        own = [self.found[None]] if None in self.found else []
        resized = [replace(self.found[shape], accuracy=self.accuracy.get(shape[1:])) for shape in self.resized]
        notes, found = tuple(self.notes), (*own, *resized)
        return rec.Row(self.spec.text, self.status, self.reason, notes, self.built, found, self.label, self.opened)


def open_rows(
    files: ModelFiles, specs: Sequence[RunnerSpec], threads: int, stack: ExitStack, label: str = ""
) -> list[RowRun]:
    """Make the file of every spec and open its runner; `stack` closes them.

    Raises:
        UnknownNameError: no such runner or provider: a typo, not a fact about the machine.
        CheckpointError, GraphError, ExportError: what kept every single runner from opening, if it is the file.
        OutputError: a file cannot be kept.
    """
    source = files.model_source
    named = source.model if source.network_size is None else None  # what is opened then has a model card
    runs = [_open(files, RowRun(spec, label, named), threads, stack) for spec in specs]
    errors = [run.error for run in runs]
    about_file = [error for error in errors if error is not None and not isinstance(error, ABOUT_MACHINE)]
    if about_file and all(errors):
        raise about_file[0]
    for run in runs:
        if run.opened is not None:
            run.opened = files.kept(run.opened, run.file)
    return runs


def _open(files: ModelFiles, run: RowRun, threads: int, stack: ExitStack) -> RowRun:
    spec = run.spec
    try:
        run.file, run.built = files.file_for(spec)
        run.opened = files.opened_by(spec)
        run.runner = stack.enter_context(files.open(spec, threads=threads))
        run.notes += files.note_for(spec) + run.runner.notes
    except UnknownNameError:
        raise
    except FcnDeployError as error:
        run.error, run.status = error, _status(files, spec, error, run.built)
        run.reason = str(error).removeprefix(f"{spec.text}: ").removeprefix(f"{spec.runner}: ")
    return run


def _status(files: ModelFiles, spec: RunnerSpec, error: FcnDeployError, built: rec.Built | None) -> rec.Status:
    if isinstance(error, ABOUT_MACHINE):
        return "skipped" if built is None else "built"
    # PyTorch has nothing to run: an ONNX file of another tool, or one whose FP32 weights are gone.
    from_onnx = files.model_source.kind == "onnx" and entry(spec.runner).opens == "network"
    return "skipped" if from_onnx and isinstance(error, GraphError) else "failed"
