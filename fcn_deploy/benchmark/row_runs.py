"""The rows of a benchmark while it runs, and the plain data that they become."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from fcn_deploy.benchmark.agreement import LabelComparison
from fcn_deploy.benchmark.record import types as rec
from fcn_deploy.benchmark.runner_specs import ModelFiles, RunnerSpec
from fcn_deploy.benchmark.timing.latency import Samples
from fcn_deploy.errors import FcnDeployError, GraphError, MissingDependencyError, RunnerError, UnknownNameError
from fcn_deploy.metrics.agreement import AgreementCounts, PixelShare
from fcn_deploy.metrics.confusion import Counts
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.registry import entry

# Confusion matrices of more images than this would be most of the file.
MOST_IMAGES = 2000


@dataclass
class RowRun:
    """One runner; `row` is ok until something says otherwise, `file` is what it opened."""

    row: rec.Row
    spec: RunnerSpec
    file: str = ""
    runner: Runner | None = None
    error: FcnDeployError | None = None

    @property
    def ok(self) -> bool:
        return self.row.status == "ok"

    def fail(self, reason: str) -> None:
        self.row = replace(self.row, status="failed", reason=reason)

    def note(self, text: str) -> None:
        self.row = replace(self.row, notes=(*self.row.notes, text))


def open_rows(files: ModelFiles, specs: Sequence[RunnerSpec], threads: int, stack: ExitStack) -> list[RowRun]:
    """Make the file of every spec and open its runner; `stack` closes them.

    Raises:
        UnknownNameError: no such runner or provider: a slip of the user's, not a fact about the machine.
        CheckpointError, GraphError, ExportError: what kept every single runner from opening, if it is the file.
    """
    runs = [_open(files, spec, threads, stack) for spec in specs]
    errors = [run.error for run in runs]
    about_file = [error for error in errors if error is not None and not _about_machine(error)]
    if about_file and all(errors):
        raise about_file[0]
    return runs


def _open(files: ModelFiles, spec: RunnerSpec, threads: int, stack: ExitStack) -> RowRun:
    built = None
    try:
        file, built = files.file_for(spec)
        runner = stack.enter_context(files.open(spec, threads=threads))
    except UnknownNameError:
        raise
    except FcnDeployError as error:
        reason = str(error).removeprefix(f"{spec.text}: ").removeprefix(f"{spec.runner}: ")
        return RowRun(rec.Row(spec.text, _status(files, spec, error, built), reason, built=built), spec, error=error)
    row = rec.Row(spec.text, "ok", notes=files.note_for(spec) + runner.notes, built=built)
    return RowRun(row, spec, file, runner)


def _status(files: ModelFiles, spec: RunnerSpec, error: FcnDeployError, built: rec.Built | None) -> rec.Status:
    if _about_machine(error):
        return "skipped" if built is None else "built"
    return "skipped" if _no_network(files, spec, error) else "failed"


def _about_machine(error: FcnDeployError) -> bool:
    """Whether another machine or installation could have opened the same file."""
    return isinstance(error, (RunnerError, MissingDependencyError))


def _no_network(files: ModelFiles, spec: RunnerSpec, error: FcnDeployError) -> bool:
    """Whether PyTorch has nothing to run: an ONNX file of another tool, or one whose FP32 weights are gone."""
    return files.artefact.kind == "onnx" and entry(spec.runner).opens == "network" and isinstance(error, GraphError)


def add_comparison(run: RowRun, comparison: LabelComparison, reference: LabelComparison | None) -> None:
    """Put accuracy and agreement into the row; agreement only with a reference that lasted, and not with itself."""
    if comparison.failure is not None:
        run.fail(comparison.failure)
        return
    lasted = reference is not None and reference.failure is None and comparison is not reference
    agreement = agreement_of(comparison.agreement) if lasted else None
    run.row = replace(
        run.row,
        accuracy=accuracy_of(comparison),
        agreement=agreement,
        frames=_without_folder(comparison.frames) if lasted else (),
    )


def _without_folder(frames: Sequence[rec.Frame]) -> tuple[rec.Frame, ...]:
    """Names below the folder that all files share: a record names no folder of the machine."""
    if not frames or not all(Path(frame.name).is_absolute() for frame in frames):
        return tuple(frames)
    try:
        folder = os.path.commonpath([Path(frame.name).parent for frame in frames])
    except ValueError:  # on several drives of Windows
        return tuple(replace(frame, name=Path(frame.name).name) for frame in frames)
    return tuple(replace(frame, name=Path(frame.name).relative_to(folder).as_posix()) for frame in frames)


def latency_of(samples: Samples) -> rec.Latency:
    """The raw times as plain data."""
    device = samples.device_ns
    return rec.Latency(
        tuple(samples.upload_ns),
        tuple(samples.execute_ns),
        tuple(samples.download_ns),
        tuple(samples.warmup_ns),
        rec.OnDevice(*zip(*device, strict=True)) if device else None,
    )


def accuracy_of(comparison: LabelComparison) -> rec.Accuracy | None:
    """The counts as plain data; None if no image had a ground truth."""
    found = comparison.accuracy
    if found.images == 0:
        return None
    by_image = comparison.by_image if found.images <= MOST_IMAGES else []
    return rec.Accuracy(_plain(found.overall), _plain(found.boundary), found.images, tuple(map(_plain, by_image)))


def agreement_of(agreement: AgreementCounts) -> rec.Agreement:
    """The counts as plain data; the last bin's end, infinity, becomes None."""
    bins = tuple(
        rec.MarginAgreed(
            part.low, part.high if math.isfinite(part.high) else None, part.share.agreed, part.share.pixels
        )
        for part in agreement.by_margin
    )
    largest = agreement.largest_margin
    finite = largest if largest is not None and math.isfinite(largest) else None
    return rec.Agreement(_share(agreement.overall), _share(agreement.boundary), bins, finite)


def _share(share: PixelShare) -> rec.Agreed:
    return rec.Agreed(share.agreed, share.pixels)


def _plain(counts: Counts) -> rec.Counts:
    return tuple(tuple(int(count) for count in row) for row in counts)
