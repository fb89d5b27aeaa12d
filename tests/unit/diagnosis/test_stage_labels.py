"""Labels of each stage, counted against the one before and the first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from fcn_deploy.data.sample import Sample
from fcn_deploy.diagnosis.stage_labels import run_chain
from fcn_deploy.diagnosis.stages import Stage
from fcn_deploy.errors import RunnerError
from tests.support.fake_runners import FakeRunner

# 4 classes, one row each of 9 pixels; the label of a pixel is its red value
TARGET = np.repeat(np.arange(4, dtype=np.uint8), 9).reshape(4, 9)


class Samples:
    name, classes, palette = "scenes", ("a", "b", "c", "d"), ()

    def __init__(self, count: int, *, labelled: bool = True) -> None:
        self._count, self._labelled = count, labelled

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Sample:
        if index >= self._count:
            raise IndexError
        image = np.zeros((*TARGET.shape, 3), np.uint8)
        image[..., 0] = TARGET
        return Sample(image, TARGET if self._labelled else None, f"scene {index}")


def stage(name: str, **options: object) -> Stage:
    return Stage(name, "onnx", f"{name}.onnx", "fp32", None, runner=FakeRunner(name, **options))  # type: ignore[arg-type]


def top_row_is_class_1(labels: np.ndarray) -> np.ndarray:
    labels[:, 0] = 1
    return labels


def run(stages: Sequence[Stage], count: int = 3, **options: object):
    settings = {"num_classes": 4, "keep": 2, "radius": 1} | options
    return run_chain(stages, Samples(count), **settings)  # type: ignore[arg-type]


def test_each_stage_is_counted_against_the_one_before_and_the_first():
    found = run([stage("a"), stage("b", change=top_row_is_class_1), stage("c", change=top_row_is_class_1)])
    _, b, c = found.stages
    assert (b.before.overall.agreed, b.before.overall.pixels) == (3 * 27, 3 * 36)
    assert (c.before.overall.agreed, c.first.overall.agreed) == (3 * 36, 3 * 27)
    assert c.counts[2].tolist() == [[0, 9, 0, 0], [0, 9, 0, 0], [0, 0, 9, 0], [0, 0, 0, 9]]
    assert found.names == ["scene 0", "scene 1", "scene 2"]
    assert [image.shape for image in found.kept] == [(1, 4, 9, 3)] * 2


def test_logits_of_the_first_stage_show_how_sure_it_was_where_labels_differ():
    first = stage("a")
    first.runner.output_names = ("labels", "logits")  # type: ignore[union-attr]
    found = run([first, stage("b", change=top_row_is_class_1)])
    assert found.largest_logit == 1
    assert found.stages[1].first.largest_margin == 1
    assert run([stage("a"), stage("b")]).largest_logit is None


def test_a_stage_that_fails_half_way_is_marked_and_the_next_is_compared_with_the_one_before_it():
    stages = [stage("a"), stage("b", change=top_row_is_class_1, fail_at=2), stage("c", change=top_row_is_class_1)]
    found = run(stages)
    assert (stages[1].status, stages[1].reason) == ("failed", "b ran out of memory")
    assert [entry.stage.name for entry in found.stages] == ["a", "c"]
    assert found.stages[1].before.overall.agreed == 3 * 27  # against a, on all three images
    assert len(found.names) == 3


def test_fewer_than_two_stages_that_run_are_refused_with_all_reasons():
    skipped = Stage("x.engine", "engine", "x.engine", "fp16", None, status="skipped", reason="no GPU")
    bad = stage("b", change=lambda labels: labels * 3, num_classes=10)
    with pytest.raises(
        RunnerError, match=r"1 of 3 stages runs.*x\.engine: no GPU; b: b gives label 9, but there are 4"
    ):
        run([stage("a"), skipped, bad])
