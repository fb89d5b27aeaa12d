"""Compare the labels of every row with the ground truth and with the reference's, and fill in what was counted."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from fcn_deploy.benchmark.images import ImagePool, resized
from fcn_deploy.benchmark.models import OpenedReference
from fcn_deploy.benchmark.record import types as rec
from fcn_deploy.benchmark.record.measurement import Accuracy, Agreed, Agreement, Frame, MarginAgreed
from fcn_deploy.benchmark.row_runs import RowRun
from fcn_deploy.benchmark.worst_frames import WorstFrames
from fcn_deploy.card import ignore_index_for
from fcn_deploy.data.dataset import Dataset, OnError, iterate
from fcn_deploy.data.sample import Sample
from fcn_deploy.errors import FcnDeployError
from fcn_deploy.metrics.agreement import AgreementCounts, PixelShare, logit_margin
from fcn_deploy.metrics.boundary_iou import FullEvaluation
from fcn_deploy.metrics.scores import Counts
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.checks.labels import check_labels
from fcn_deploy.system.progress import Progress, track
from fcn_deploy.vocabulary import INPUT, LABELS, LOGITS, Size

Labels = NDArray[Any]
MOST_IMAGES = 2000  # confusion matrices of more would be most of the file


@dataclass
class LabelComparison:
    """Counts of the labels of the runner `name`. `failure` says why it stopped; its counts are then incomplete.

    Attributes:
        by_image, boundary_by_image: int64[C, C] of each labelled image.
        frames: agreement of each image with the reference.
    """

    name: str
    accuracy: FullEvaluation
    agreement: AgreementCounts
    failure: str | None = None
    by_image: list[Counts] = field(default_factory=list)
    boundary_by_image: list[Counts] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)

    def add(
        self, runner: Runner, sample: Sample, reference: Labels | None = None, margins: Labels | None = None
    ) -> dict[str, Labels] | None:
        """Run one image and count its labels; return the runner's outputs, None from its first failure on.

        Args:
            reference, margins: [1, H, W], the reference's labels and the margins of its logits.
        """
        if self.failure is not None:
            return None
        try:
            outputs = runner.infer({INPUT: sample.image[None]})
            self._count(sample, outputs[LABELS], reference, margins)
        except FcnDeployError as error:
            self.failure = str(error)
            return None
        return outputs

    def _count(self, sample: Sample, labels: Labels, reference: Labels | None, margins: Labels | None) -> None:
        """Raise RunnerError if a label is not a class of the data set."""
        if sample.label is not None:
            check_labels(self.name, labels, self.accuracy.num_classes)
            before, near = self.accuracy.overall.copy(), self.accuracy.boundary.copy()
            self.accuracy.update(sample.label[None], sample.counted(labels))
            self.by_image.append(self.accuracy.overall - before)
            self.boundary_by_image.append(self.accuracy.boundary - near)
        if reference is not None:
            agreed = self.agreement.overall.agreed
            self.agreement.update(reference, labels, margins)
            self.frames.append(Frame(sample.name, self.agreement.overall.agreed - agreed, labels.size))


def compare_labels(
    samples: Iterable[Sample],
    runners: Sequence[Runner],
    reference: Runner | None = None,
    *,
    num_classes: int,
    ignore_index: int,
    radius: int = 3,
    worst_frames: WorstFrames | None = None,
) -> tuple[list[LabelComparison], LabelComparison]:
    """Run every image through the reference and every runner, one at a time.

    Args:
        samples: images with or without ground truth; without, agreement alone is counted.
        reference: gives "labels", and "logits" for agreement by margin; None leaves agreement out. It may be one of
            `runners`, and is then run once per image.
        worst_frames: gets every image whose labels can be compared, with the place of the runner.

    Returns:
        One LabelComparison for each runner, and the reference's own.

    Raises:
        DataError: from `samples`. A runner's errors end that runner alone, the reference's the agreement.
    """

    def empty(name: str) -> LabelComparison:
        return LabelComparison(name, FullEvaluation(num_classes, ignore_index, radius), AgreementCounts(radius))

    own = empty("the reference" if reference is None else reference.name)
    results = [own if runner is reference else empty(runner.name) for runner in runners]
    for sample in samples:
        outputs = None if reference is None else own.add(reference, sample)
        labels = None if outputs is None else outputs[LABELS]
        margins = None if outputs is None or LOGITS not in outputs else logit_margin(outputs[LOGITS])
        for place, (runner, result) in enumerate(zip(runners, results, strict=True)):
            found = None if result is own else result.add(runner, sample, labels, margins)
            if found is not None and labels is not None and worst_frames is not None:
                worst_frames.offer(place, sample, labels[0], found[LABELS][0])
    return results, own


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
        self, runs: Sequence[RowRun], opened: OpenedReference | None, worst_frames: WorstFrames | None
    ) -> rec.Reference | None:
        """Fill in accuracy and agreement on the images as they are; a runner that raises fails its row.

        Returns:
            What the labels were compared with; None without a reference, or if that raised.
        """
        running = [(place, run, run.runner) for place, run in enumerate(runs) if run.runner is not None]
        reference = None if opened is None else opened.runner
        if worst_frames is not None:
            worst_frames.begin(self.classes, self.dataset.palette, [place for place, _, _ in running])
        if reference is not None and opened is not None and opened.margins:
            reference.output_names = (LABELS, LOGITS)
        results, own = self._results(
            [runner for _, _, runner in running], reference, self.pool, worst_frames=worst_frames
        )
        if reference is not None:
            reference.output_names = (LABELS,)
        lasted = own.failure is None
        for (_, run, _), result in zip(running, results, strict=True):
            _fill_in(run, result, compared=opened is not None and lasted and result is not own)
        return rec.Reference(opened.spec, accuracy_of(own), opened.file) if opened is not None and lasted else None

    def compare_at(self, size: Size, runs: Sequence[RowRun]) -> None:
        """Fill in accuracy on images resized to (height, width); a runner that raises gets none."""
        if set(self.pool.sizes) == {size}:  # the images as they are
            for run in runs:
                if None in run.found and (accuracy := run.found[None].accuracy) is not None:
                    run.accuracy[size] = replace(accuracy, by_image=(), boundary_by_image=())
            return
        running = [(run, run.runner) for run in runs if run.ok and run.runner is not None]
        results, _ = self._results([runner for _, runner in running], None, ImagePool(keep_images=False), size)
        for (run, _), result in zip(running, results, strict=True):
            if result.failure is None and (accuracy := accuracy_of(result)) is not None:
                run.accuracy[size] = replace(accuracy, by_image=(), boundary_by_image=())  # a curve needs no more

    def _results(
        self,
        runners: Sequence[Runner],
        reference: Runner | None,
        pool: ImagePool,
        size: Size | None = None,
        worst_frames: WorstFrames | None = None,
    ) -> tuple[list[LabelComparison], LabelComparison]:
        title = "comparing labels" if size is None else f"comparing labels at {size[0]}x{size[1]}"
        samples = iterate(self.dataset, on_error=self.on_error, progress=self.progress)
        watched = pool.watch(samples if size is None else resized(samples, size))
        return compare_labels(
            track(self.progress, title, watched, len(self.dataset)),
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
    if (accuracy := accuracy_of(result)) is not None:
        run.keep(None, accuracy=accuracy)
    if compared:
        run.keep(None, agreement=agreement_of(result.agreement), frames=_without_folder(result.frames))


def _without_folder(frames: Sequence[Frame]) -> tuple[Frame, ...]:
    """Name frames below the folder that all files share: a record names no folder of the machine."""
    if not frames or not all(Path(frame.name).is_absolute() for frame in frames):
        return tuple(frames)
    try:
        folder = os.path.commonpath([Path(frame.name).parent for frame in frames])
    except ValueError:  # on several drives of Windows
        return tuple(replace(frame, name=Path(frame.name).name) for frame in frames)
    return tuple(replace(frame, name=Path(frame.name).relative_to(folder).as_posix()) for frame in frames)


def accuracy_of(result: LabelComparison) -> Accuracy | None:
    """Return the counts as plain data; None if no image had a ground truth."""
    found = result.accuracy
    if found.images == 0:
        return None
    kept = (result.by_image, result.boundary_by_image) if found.images <= MOST_IMAGES else ([], [])
    each, near = (tuple(map(_as_tuples, counts)) for counts in kept)
    overall, boundary, regions = map(_as_tuples, (found.overall, found.boundary, found.regions.counts))
    return Accuracy(overall, boundary, found.images, each, near, regions)


def agreement_of(agreement: AgreementCounts) -> Agreement:
    """Return the counts as plain data; the last bin's end, infinity, becomes None."""
    bins = tuple(
        MarginAgreed(part.low, part.high if math.isfinite(part.high) else None, part.share.agreed, part.share.pixels)
        for part in agreement.by_margin
    )
    largest = agreement.largest_margin
    finite = largest if largest is not None and math.isfinite(largest) else None
    return Agreement(_share(agreement.overall), _share(agreement.boundary), bins, finite)


def _share(share: PixelShare) -> Agreed:
    return Agreed(share.agreed, share.pixels)


def _as_tuples(counts: Counts) -> tuple[tuple[int, ...], ...]:
    return tuple(map(tuple, counts.tolist()))
