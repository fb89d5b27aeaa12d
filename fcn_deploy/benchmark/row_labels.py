"""Compare the labels of every row with the ground truth and with the reference's, and fill in what was counted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fcn_deploy.benchmark.agreement import LabelComparison, accuracy_of, agreement_of, compare_labels
from fcn_deploy.benchmark.images import ImagePool, resized
from fcn_deploy.benchmark.record import types as rec
from fcn_deploy.benchmark.record.measurement import Frame
from fcn_deploy.benchmark.row_runs import RowRun
from fcn_deploy.benchmark.worst_frames import WorstFrames
from fcn_deploy.card import ignore_index_for
from fcn_deploy.data.dataset import Dataset, OnError, iterate
from fcn_deploy.runners.base import Runner
from fcn_deploy.system.interrupt import interrupts
from fcn_deploy.system.progress import Progress
from fcn_deploy.vocabulary import LABELS, LOGITS, Size


@dataclass(frozen=True)
class RowLabels:
    """Run the data set through every row's runner and count the labels.

    Attributes:
        classes: names of the labels; () if they have none.
        pool: counts the images and keeps the first ones for the timing.
    """

    dataset: Dataset
    classes: tuple[str, ...]
    radius: int
    on_error: OnError
    pool: ImagePool
    progress: Progress

    def compare(
        self, runs: Sequence[RowRun], reference: Runner | None, worst_frames: WorstFrames | None
    ) -> rec.Reference | None:
        """Fill in accuracy and agreement on the images as they are; a runner that raises fails its row.

        Returns:
            What the labels were compared with; None without a reference, or if that raised.
        """
        running = [(place, run, run.runner) for place, run in enumerate(runs) if run.runner is not None]
        if worst_frames is not None:
            worst_frames.begin(self.classes, self.dataset.palette, [place for place, _, _ in running])
        if reference is not None:
            reference.output_names = (LABELS, LOGITS)
        results, own = self._results(
            [runner for _, _, runner in running], reference, self.pool, worst_frames=worst_frames
        )
        if reference is not None:
            reference.output_names = (LABELS,)
        lasted = reference is not None and own.failure is None
        for (_, run, _), result in zip(running, results, strict=True):
            _fill_in(run, result, compared=lasted and result is not own)
        return rec.Reference(own.name, accuracy_of(own)) if lasted else None

    def compare_at(self, size: Size, runs: Sequence[RowRun]) -> None:
        """Fill in accuracy on images resized to (height, width); a runner that raises gets none."""
        if set(self.pool.sizes) == {size}:  # the images as they are
            for run in runs:
                if None in run.accuracy:
                    run.accuracy[size] = replace(run.accuracy[None], by_image=())
            return
        running = [(run, run.runner) for run in runs if run.ok and run.runner is not None]
        results, _ = self._results([runner for _, runner in running], None, ImagePool(keep_images=False), size)
        for (run, _), result in zip(running, results, strict=True):
            accuracy = accuracy_of(result) if result.failure is None else None
            if accuracy is not None:  # a curve over sizes needs no matrix of each image
                run.accuracy[size] = replace(accuracy, by_image=())

    def _results(
        self,
        runners: Sequence[Runner],
        reference: Runner | None,
        pool: ImagePool,
        size: Size | None = None,
        worst_frames: WorstFrames | None = None,
    ) -> tuple[list[LabelComparison], LabelComparison]:
        title = "comparing labels" if size is None else f"comparing labels at {size[0]}x{size[1]}"
        with self.progress.task(title, len(self.dataset)) as task, interrupts() as check:
            samples = iterate(self.dataset, on_error=self.on_error, progress=self.progress)
            return compare_labels(
                pool.watch(samples if size is None else resized(samples, size), task, check),
                runners,
                reference,
                num_classes=max(1, len(self.classes)),
                ignore_index=ignore_index_for(len(self.classes)),
                radius=self.radius,
                worst_frames=worst_frames,
            )


def _fill_in(run: RowRun, result: LabelComparison, *, compared: bool) -> None:
    """Fill in the comparison; `compared` if there was a reference that did not fail, and it is another runner."""
    if result.failure is not None:
        run.fail(result.failure)
        return
    accuracy = accuracy_of(result)
    if accuracy is not None:
        run.accuracy[None] = accuracy
    if compared:
        run.agreement, run.frames = agreement_of(result.agreement), _without_folder(result.frames)


def _without_folder(frames: Sequence[Frame]) -> tuple[Frame, ...]:
    """Name frames below the folder that all files share: a record names no folder of the machine."""
    if not frames or not all(Path(frame.name).is_absolute() for frame in frames):
        return tuple(frames)
    try:
        folder = os.path.commonpath([Path(frame.name).parent for frame in frames])
    except ValueError:  # on several drives of Windows
        return tuple(replace(frame, name=Path(frame.name).name) for frame in frames)
    return tuple(replace(frame, name=Path(frame.name).relative_to(folder).as_posix()) for frame in frames)
