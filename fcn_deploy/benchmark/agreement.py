"""Count the labels of several runners over one data set, against the ground truth and the reference's labels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from fcn_deploy.benchmark.record.measurement import Accuracy, Agreed, Agreement, Frame, MarginAgreed
from fcn_deploy.benchmark.worst_frames import WorstFrames
from fcn_deploy.data.sample import Sample
from fcn_deploy.errors import FcnDeployError
from fcn_deploy.metrics.agreement import AgreementCounts, PixelShare, logit_margin
from fcn_deploy.metrics.boundary import Evaluation
from fcn_deploy.metrics.scores import Counts
from fcn_deploy.runners.base import Runner, check_labels
from fcn_deploy.vocabulary import INPUT, LABELS, LOGITS

Labels = NDArray[Any]
# Confusion matrices of more images than this would be most of the file.
MOST_IMAGES = 2000


@dataclass
class LabelComparison:
    """Counts of the labels of the runner `name`. `failure` says why it stopped; its counts are then incomplete.

    Attributes:
        by_image: int64[C, C] of each labelled image.
        frames: agreement of each image with the reference.
    """

    name: str
    accuracy: Evaluation
    agreement: AgreementCounts
    failure: str | None = None
    by_image: list[Counts] = field(default_factory=list)
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
            before = self.accuracy.overall.copy()
            self.accuracy.update(sample.label[None], labels)
            self.by_image.append(self.accuracy.overall - before)
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
        reference: a runner that gives "labels" and "logits"; None leaves agreement out. It may be one of `runners`,
            and is then run once per image.
        worst_frames: gets every image whose labels can be compared, with the place of the runner.

    Returns:
        One LabelComparison for each runner, and the reference's own.

    Raises:
        DataError: from `samples`. A runner's errors end that runner alone, the reference's the agreement.
    """

    def empty(name: str) -> LabelComparison:
        return LabelComparison(name, Evaluation(num_classes, ignore_index, radius), AgreementCounts(radius))

    own = empty("the reference" if reference is None else reference.name)
    results = [own if runner is reference else empty(runner.name) for runner in runners]
    for sample in samples:
        outputs = None if reference is None else own.add(reference, sample)
        labels, margins = (None, None) if outputs is None else (outputs[LABELS], logit_margin(outputs[LOGITS]))
        for place, (runner, result) in enumerate(zip(runners, results, strict=True)):
            found = None if result is own else result.add(runner, sample, labels, margins)
            if found is not None and labels is not None and worst_frames is not None:
                worst_frames.offer(place, sample, labels[0], found[LABELS][0])
    return results, own


def accuracy_of(result: LabelComparison) -> Accuracy | None:
    """Return the counts as plain data; None if no image had a ground truth."""
    found = result.accuracy
    if found.images == 0:
        return None
    by_image = result.by_image if found.images <= MOST_IMAGES else []
    return Accuracy(
        _as_tuples(found.overall), _as_tuples(found.boundary), found.images, tuple(map(_as_tuples, by_image))
    )


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
    return tuple(tuple(int(count) for count in row) for row in counts)
