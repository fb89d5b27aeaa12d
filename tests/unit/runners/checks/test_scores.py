"""Scores that are no numbers are refused where they show, and looked for where all labels are of one class."""

from __future__ import annotations

import numpy as np
import pytest

from fcn_deploy.errors import ScoreError
from fcn_deploy.runners.checks.labels import require_sound_outputs
from fcn_deploy.runners.checks.scores import LOOKS, ScoreCheck, is_constant
from fcn_deploy.runners.registry import open_runner
from fcn_deploy.vocabulary import CONFIDENCE, INPUT, LABELS, LOGITS
from tests.hostile.cases.no_numbers import NO_NUMBERS
from tests.support.onnx_files import write_graph

IMAGE = np.random.default_rng(0).integers(0, 256, (2, 33, 47, 3), dtype=np.uint8)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_scores_that_are_handed_out_must_be_numbers(number):
    logits = np.zeros((1, 3, 33, 47), np.float32)
    assert require_sound_outputs("r", {LOGITS: logits}, (1, 33, 47), None)
    logits[0, 1, 32, 46] = number
    with pytest.raises(ScoreError, match="r gives scores that are NaN or infinite for an image of 33x47"):
        require_sound_outputs("r", {LOGITS: logits}, (1, 33, 47), None)


def test_a_confidence_of_zero_is_that_of_no_number():
    confidence = np.full((1, 33, 47), 1, np.uint8)
    assert require_sound_outputs("r", {CONFIDENCE: confidence}, (1, 33, 47), None)
    confidence[0, 5, 7] = 0
    with pytest.raises(ScoreError):
        require_sound_outputs("r", {CONFIDENCE: confidence}, (1, 33, 47), None)


@pytest.mark.parametrize("case", list(NO_NUMBERS))
def test_labels_made_of_nan_are_refused_though_the_file_gives_labels_alone(tmp_path, case):
    with open_runner("onnxruntime", str(NO_NUMBERS[case](tmp_path))) as runner, pytest.raises(ScoreError):
        runner.infer({INPUT: IMAGE})


def test_an_image_of_one_class_with_scores_that_are_numbers_keeps_its_labels(tmp_path):
    path = write_graph(tmp_path / "m.onnx")
    with open_runner("onnxruntime", str(path)) as runner:
        labels = runner.infer({INPUT: np.zeros_like(IMAGE)})[LABELS]
    assert is_constant(labels[0])
    assert labels.shape == (2, 33, 47)


def test_a_few_images_of_one_class_are_looked_at_and_others_are_not():
    looked = []

    def opened(file):
        looked.append(file)
        raise ScoreError("none")

    check = ScoreCheck("m.onnx", opened)
    varied = np.zeros((1, 33, 47), np.uint8)
    varied[0, 32, 46] = 1
    assert check.check(IMAGE[:1], {LABELS: varied})[LABELS] is varied
    assert not looked
    for _ in range(LOOKS):
        with pytest.raises(ScoreError):
            check.check(IMAGE[:1], {LABELS: np.zeros_like(varied)})
    check.check(IMAGE[:1], {LABELS: np.zeros_like(varied)})
    assert looked == ["m.onnx"] * LOOKS
