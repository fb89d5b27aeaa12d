from __future__ import annotations

import os
import pickle
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from PIL import Image

from fcn_deploy.data.images import load_image, load_label
from fcn_deploy.prediction.image_io import ImageIO
from fcn_deploy.prediction.image_states import FinishedImage
from fcn_deploy.prediction.images.lazy_images import LazyImage
from fcn_deploy.prediction.outputs import Outputs
from fcn_deploy.prediction.workers.slots import Slots
from fcn_deploy.prediction.workers.tasks import Answer, LoadTask, Task, WriteTask

NAME = PurePosixPath("a/one.jpg")


@pytest.fixture
def slots():
    memory = os.memfd_create("test")
    yield Slots(memory, 2)
    os.close(memory)


def answered(task: Task, slots: Slots, target: Path) -> Answer:
    outputs = Outputs(target, "raw", ((0, 0, 0),) * 4)
    return Answer.to(pickle.loads(pickle.dumps(task)), ImageIO(outputs, 4, count=True), slots)


def item(path: Path) -> LazyImage:
    return LazyImage(3, NAME, partial(load_image, path), portable=True)


def test_an_image_is_decoded_into_its_slot(slots, tmp_path):
    pixels = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    answer = answered(LoadTask(item(tmp_path / "one.png"), 1), slots, tmp_path)
    assert answer.value == (5, 7, 3)
    assert answer.seconds > 0
    assert np.array_equal(slots.image(1, (5, 7, 3)), pixels)


def test_an_image_that_cannot_be_used_is_finished_with_its_error(slots, tmp_path):
    finished = answered(LoadTask(item(tmp_path / "gone.png"), 1), slots, tmp_path).value
    assert isinstance(finished, FinishedImage)
    assert (finished.index, finished.name) == (3, NAME)
    assert "gone.png does not exist" in str(finished.error)


def test_an_image_that_fits_no_slot_is_finished_with_its_error(slots, tmp_path):
    huge = LazyImage(3, NAME, partial(np.broadcast_to, np.uint8(0), (30_000, 30_000, 3)))
    finished = answered(LoadTask(huge, 0), slots, tmp_path).value
    assert "a/one.jpg is too large; cut it into tiles" in str(finished.error)


def test_labels_of_a_slot_are_checked_written_and_counted(slots, tmp_path):
    labels = slots.labels(1, (2, 4), np.uint8)
    labels[:] = [[0, 1, 1, 3], [3, 3, 1, 1]]
    task = WriteTask(3, NAME, 1, (2, 4, 3), "|u1")
    finished = answered(task, slots, tmp_path).value
    assert (finished.index, finished.error, finished.pixels.tolist()) == (3, None, [1, 4, 0, 3])
    assert np.array_equal(load_label(tmp_path / "a" / "one.png"), labels)
    labels[0, 0] = 9
    assert "label 9, but there are 4 classes" in str(answered(task, slots, tmp_path).value.error)


def test_a_write_that_fails_is_answered_with_its_error(slots, tmp_path):
    (tmp_path / "a").write_text("a file where a folder should be")
    slots.labels(1, (2, 4), np.uint8)[:] = 0
    answer = answered(WriteTask(3, NAME, 1, (2, 4, 3), "|u1"), slots, tmp_path)
    assert "a part of its path is a file" in str(answer.value)
