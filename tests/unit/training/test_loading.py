"""Batches: their order, their content and what cannot be used."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from fcn_deploy.data.sample import Sample
from fcn_deploy.errors import DataError, ImageError
from fcn_deploy.system.interrupt import ENDING
from fcn_deploy.training.loading import Augmentation, BatchKeys, TrainingImages, collate, fill_colour, loader

HOW = Augmentation((17, 23), (0.5, 2.0), True, (1, 2, 3), 255)


class Numbered:
    """Image i is grey i; image 3 cannot be read, image 5 has no labels."""

    name, classes, palette = "numbered", ("a", "b"), ((0, 0, 0), (9, 9, 9))

    def __len__(self):
        return 7

    def __getitem__(self, index):
        if index == 3:
            raise ImageError("image 3 is cut off")
        image = np.full((20, 31, 3), index, np.uint8)
        return Sample(image, None if index == 5 else np.full((20, 31), index % 2, np.uint8), f"image {index}")


def test_each_epoch_visits_every_image_once_in_an_order_of_its_own():
    batches = list(BatchKeys(count=7, batch=3, epochs=2, seed=0))
    assert [len(batch) for batch in batches] == [3, 3, 1, 3, 3, 1]
    first, second = ([key for batch in half for key in batch] for half in (batches[:3], batches[3:]))
    assert sorted(first) == [(0, index) for index in range(7)]
    assert sorted(second) == [(1, index) for index in range(7)]
    assert [index for _, index in first] != [index for _, index in second]


@pytest.mark.parametrize("start", [0, 1, 3, 4, 5, 6])
def test_starting_late_gives_the_rest_of_the_same_batches(start):
    whole = list(BatchKeys(7, 3, 2, seed=5))
    rest = BatchKeys(7, 3, 2, seed=5, start_step=start)
    assert list(rest) == whole[start:]
    assert len(rest) == 6 - start


def test_another_seed_gives_another_order():
    assert list(BatchKeys(50, 50, 1, seed=0)) != list(BatchKeys(50, 50, 1, seed=1))


def test_signals_to_the_group_leave_the_loading_processes_at_work():
    def signalled(batches):
        for number, batch in enumerate(batches):
            if number > 1:  # both processes have begun
                for process in multiprocessing.active_children():
                    for each in ENDING:
                        os.kill(process.pid, each)
            yield batch

    images = TrainingImages(Numbered(), HOW, seed=4)
    batches = loader(images, BatchKeys(7, 1, 3, seed=4), workers=2, pin_memory=False)
    assert len(list(signalled(batches))) == 21


def test_the_number_of_processes_does_not_change_a_batch():
    def batches(workers):
        images = TrainingImages(Numbered(), HOW, seed=4)
        return list(loader(images, BatchKeys(7, 3, 2, seed=4), workers=workers, pin_memory=False))

    alone, two = batches(0), batches(2)
    assert len(alone) == len(two) == 6
    for one, other in zip(alone, two, strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)
        assert [str(error) for error in one.errors] == [str(error) for error in other.errors]


def test_what_cannot_be_used_is_reported_in_the_words_of_its_error():
    items = [TrainingImages(Numbered(), HOW, 0)[0, index] for index in (2, 3, 5)]
    batch = collate(items)
    assert batch.images.shape == (1, 17, 23, 3)
    assert batch.labels.shape == (1, 17, 23)
    assert [type(error) for error in batch.errors] == [ImageError, DataError]
    assert [str(error) for error in batch.errors] == [
        "image 3 is cut off",
        "image 5 has no labels; training needs a label for every image",
    ]


def test_a_batch_of_bad_images_alone_is_empty():
    assert len(collate([ImageError("a"), ImageError("b")]).images) == 0


def test_images_can_be_sent_to_a_spawned_process(tmp_path: Path):
    images = pickle.loads(pickle.dumps(TrainingImages(Numbered(), HOW, 0)))
    assert images[0, 2][0].shape == (17, 23, 3)


def test_the_fill_is_the_mean_in_rgb_whatever_order_the_network_has():
    assert fill_colour((123.675, 116.28, 103.53), "RGB") == (124, 116, 104)
    assert fill_colour((104.007, 116.669, 122.679), "BGR") == (123, 117, 104)
