from __future__ import annotations

import numpy as np
import pytest

from fcn_deploy.benchmark.images import check_shapes, images_for, resized, resized_image, resized_label, shapes_of
from fcn_deploy.data.sample import Sample
from fcn_deploy.errors import DataError

OWN = {(33, 47): 5, (47, 33): 2}


def test_every_size_meets_every_batch_small_ones_first():
    assert shapes_of([(66, 94), (33, 47)], [4, 1], OWN) == ((1, 33, 47), (4, 33, 47), (1, 66, 94), (4, 66, 94))


def test_batches_alone_are_those_of_the_commonest_size_and_nothing_asked_for_is_nothing():
    assert shapes_of([], [1, 4], OWN) == ((1, 33, 47), (4, 33, 47))
    assert shapes_of([], [4], OWN) == ()
    assert shapes_of([], [], OWN) == ()
    assert shapes_of([(9, 11)], [], OWN) == ((1, 9, 11),)


def test_labels_are_resized_to_labels_that_were_there():
    label = np.array([[0, 0, 7], [0, 255, 7]], np.uint8)
    # nearest neighbour: the centre of each new pixel falls into an old one
    assert resized_label(label, (4, 6)).tolist() == [[0, 0, 0, 0, 7, 7]] * 2 + [[0, 0, 255, 255, 7, 7]] * 2
    wide = np.array([[300, -1]], np.int32)
    grown = resized_label(wide, (2, 4))
    assert (grown.dtype, grown.tolist()) == (np.int32, [[300, 300, -1, -1]] * 2)


def test_images_are_resized_and_left_alone_where_they_fit():
    image = np.zeros((33, 47, 3), np.uint8)
    image[:, :, 1] = 200
    assert resized_image(image, (33, 47)) is image
    grown = resized_image(image, (50, 71))
    assert (grown.shape, grown.dtype) == ((50, 71, 3), np.uint8)
    assert (grown == (0, 200, 0)).all()


def test_samples_keep_their_name_and_may_have_no_label():
    image = np.zeros((33, 47, 3), np.uint8)
    with_label, without = resized([Sample(image, np.ones((33, 47), np.uint8), "a"), Sample(image, None, "b")], (20, 31))
    assert (with_label.name, with_label.image.shape, with_label.label.shape) == ("a", (20, 31, 3), (20, 31))
    assert (without.name, without.label) == ("b", None)


def test_a_cell_takes_a_few_images_or_one_full_batch():
    pool = [np.full((33, 47, 3), value, np.uint8) for value in range(20)]
    assert [image[0, 0, 0] for image in images_for((1, 33, 47), pool)] == list(range(8))
    assert len(images_for((16, 20, 31), pool)) == 16
    assert images_for((16, 20, 31), pool)[3].shape == (20, 31, 3)


def test_a_batch_beyond_memory_is_refused_before_anything_is_opened():
    check_shapes([(720, 960)], [1, 4])
    with pytest.raises(DataError, match=r"batches of 100000 images of 360x480 take 49438 MiB, more than the 2048 MiB"):
        check_shapes([(33, 47), (360, 480)], [1, 100_000])
