"""Run one file over labelled images and count its labels."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np

from fcn_deploy.card import ModelCard, ignore_index_for
from fcn_deploy.data.dataset import Dataset
from fcn_deploy.data.sample import Sample
from fcn_deploy.errors import FcnDeployError, MissingDependencyError, RunnerError
from fcn_deploy.evaluation.report import AccuracyReport, ComparedAccuracy
from fcn_deploy.metrics.agreement import AgreementCounts
from fcn_deploy.metrics.bootstrap import Interval, iou_change
from fcn_deploy.metrics.boundary_iou import FullEvaluation, boundary_iou
from fcn_deploy.metrics.scores import Counts, Labels, scores
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.checks.labels import check_labels
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.files import StrPath
from fcn_deploy.system.progress import Progress
from fcn_deploy.vocabulary import INPUT, LABELS


@dataclass
class ScoredFile:
    """One file while it is scored."""

    source: ModelSource
    spec: str
    card: ModelCard | None
    runner: Runner | None = None
    error: FcnDeployError | None = None
    by_image: list[Counts] = field(default_factory=list)
    agreement: AgreementCounts = field(default_factory=AgreementCounts)
    counts: FullEvaluation | None = None

    @classmethod
    def open(
        cls,
        model: StrPath,
        stack: ExitStack,
        runner: str | None,
        threads: int | None,
        model_name: str | None,
        progress: Progress,
    ) -> ScoredFile:
        """Open the file; what this machine lacks becomes `error`, a file that cannot be read raises."""
        source = stack.enter_context(ModelSource(model, progress, model=model_name))
        found = cls(source, runner or source.default_runner, source.card())
        try:
            found.runner = stack.enter_context(source.open(found.spec, threads=threads))
        except (RunnerError, MissingDependencyError) as error:
            found.error = error
        return found

    def begin(self, classes: int, radius: int) -> None:
        self.counts = FullEvaluation(classes, ignore_index_for(classes), radius)

    def add(self, sample: Sample, truth: Labels, reference: Labels | None) -> Labels | None:
        """Run one image and count its labels; return the labels to compare the next file's with."""
        if self.runner is None or self.counts is None:
            return reference
        labels = self.runner.infer({INPUT: sample.image[None]})[LABELS]
        check_labels(self.spec, labels, self.counts.num_classes)
        before = self.counts.overall.copy()
        self.counts.update(truth[None], sample.counted(labels))
        self.by_image.append(self.counts.overall - before)
        if reference is not None:
            self.agreement.update(reference, labels)
        return labels if reference is None else reference

    def report(self, dataset: Dataset, classes: tuple[str, ...], radius: int) -> AccuracyReport | None:
        counts = self.counts
        if self.runner is None or counts is None:
            return None
        return AccuracyReport(
            self.source.path.name, self.source.digest()[0], self.spec, dataset.name, classes, counts.images,
            len(dataset) - counts.images, radius,
            scores(counts.overall), scores(counts.boundary), scores(counts.interior),
            boundary_iou(counts.regions.counts), tuple(map(tuple, counts.overall.tolist())),
        )  # fmt: skip

    def compared(self, report: AccuracyReport | None, first: ScoredFile) -> ComparedAccuracy:
        name = self.source.path.name
        if report is None:
            return ComparedAccuracy(name, None, str(self.error))
        if self is first:
            return ComparedAccuracy(name, report)
        change = iou_change(np.array(first.by_image), np.array(self.by_image)).mean
        low, high = (None if end is None else 100 * end for end in (change.low, change.high))
        share = self.agreement.overall
        return ComparedAccuracy(name, report, "", Interval(100 * change.value, low, high), share.agreed, share.pixels)
