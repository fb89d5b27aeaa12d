from __future__ import annotations

import numpy as np

from fcn_deploy.benchmark.row_labels import compare_labels
from fcn_deploy.data.sample import Sample
from fcn_deploy.metrics.scores import scores
from tests.support.fake_runners import FakeRunner

# 4 classes, one row each of 8 pixels; the label of a pixel is its red value
TARGET = np.repeat(np.arange(4, dtype=np.uint8), 8).reshape(4, 8)


def sample(target: np.ndarray, label: np.ndarray | None) -> Sample:
    image = np.zeros((*target.shape, 3), np.uint8)
    image[..., 0] = target
    return Sample(image, label, "test")


def loses_half_of_class_2(labels: np.ndarray) -> np.ndarray:
    row = labels.shape[1] // 4 * 2
    labels[:, row, ::2] = 3
    return labels


def run(runners, reference, label=TARGET, images=2, **options):
    samples = [sample(TARGET, label) for _ in range(images)]
    settings = {"num_classes": 4, "ignore_index": 255, "radius": 1} | options
    return compare_labels(iter(samples), runners, reference, **settings)


def reference_runner(**options) -> FakeRunner:
    runner = FakeRunner("pytorch", **options)
    runner.output_names = ("labels", "logits")
    return runner


def test_wrong_labels_for_one_class_lose_exactly_that_classs_iou():
    (right, wrong), own = run([FakeRunner(), FakeRunner(change=loses_half_of_class_2)], reference_runner())
    assert scores(right.accuracy.overall).per_class_iou == (1, 1, 1, 1)
    # class 2 keeps 4 of 8 pixels an image; class 3 has its 8 and 4 of class 2: 8 / 12
    assert scores(wrong.accuracy.overall).per_class_iou == (1, 1, 4 / 8, 8 / 12)
    assert scores(own.accuracy.overall).mean_iou == 1


def test_agreement_counts_the_pixels_that_differ_from_the_reference():
    (wrong,), _ = run([FakeRunner(change=loses_half_of_class_2)], reference_runner())
    assert (wrong.agreement.overall.agreed, wrong.agreement.overall.pixels) == (56, 64)
    # every row has a neighbour of another class within 1 pixel
    assert (wrong.agreement.boundary.agreed, wrong.agreement.boundary.pixels) == (56, 64)
    assert wrong.agreement.largest_margin == 1


def test_without_ground_truth_agreement_is_all_there_is():
    (wrong,), own = run([FakeRunner(change=loses_half_of_class_2)], reference_runner(), label=None)
    assert wrong.agreement.overall.agreed == 56
    assert wrong.accuracy.images == own.accuracy.images == 0


def test_without_a_reference_accuracy_is_all_there_is():
    (result,), own = run([FakeRunner()], None)
    assert result.accuracy.images == 2
    assert result.agreement.overall.pixels == 0
    assert own.accuracy.images == 0


def test_a_reference_among_the_runners_runs_once_an_image():
    reference = reference_runner()
    (result, _), own = run([reference, FakeRunner()], reference, images=3)
    assert result is own
    assert len(reference.shapes) == 3


def test_a_runner_that_fails_keeps_its_reason_and_is_not_asked_again():
    bad, good = FakeRunner("bad", fail_at=2), FakeRunner("good")
    (failed, fine), _ = run([bad, good], reference_runner(), images=4)
    assert failed.failure == "bad ran out of memory"
    assert len(bad.shapes) == 2
    assert fine.failure is None
    assert fine.accuracy.images == 4


def test_a_reference_that_fails_leaves_the_accuracies():
    (fine,), own = run([FakeRunner()], reference_runner(fail_at=1), images=2)
    assert own.failure == "pytorch ran out of memory"
    assert fine.accuracy.images == 2


def test_a_label_outside_the_classes_fails_the_runner_and_says_so():
    (failed,), _ = run([FakeRunner(change=lambda labels: labels + 1, num_classes=5)], None)
    assert failed.failure == "fake gives label 4, but there are 4 classes"


def test_a_negative_label_fails_the_runner_and_the_reference_alike():
    def below(labels: np.ndarray) -> np.ndarray:
        return labels.astype(np.int32) - 3

    (failed,), own = run([FakeRunner(change=below)], reference_runner(change=below))
    assert failed.failure == "fake gives label -3, but there are 4 classes"
    assert own.failure == "pytorch gives label -3, but there are 4 classes"
