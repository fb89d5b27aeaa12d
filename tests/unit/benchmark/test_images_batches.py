"""Images put into batches of one shape."""

from __future__ import annotations

import numpy as np
import pytest

from fcn_deploy.benchmark.images import BATCH_BYTES, batches_of, check_bytes
from fcn_deploy.errors import DataError


def test_batches_hold_one_shape_and_are_filled_up_with_its_first_images():
    wide = [np.full((33, 47, 3), value, np.uint8) for value in (1, 2, 3)]
    tall = [np.full((47, 33, 3), 9, np.uint8)]
    batches = batches_of([wide[0], *tall, wide[1], wide[2]], 2)
    assert [batch.shape for batch in batches] == [(2, 33, 47, 3), (2, 33, 47, 3), (2, 47, 33, 3)]
    assert [batch[:, 0, 0, 0].tolist() for batch in batches] == [[1, 2], [3, 1], [9, 9]]


def test_batches_of_many_sizes_may_not_take_more_memory_together_than_is_stated():
    image = np.zeros((1, 1 << 20, 3), np.uint8)
    most = BATCH_BYTES // image.nbytes
    with pytest.raises(DataError, match=rf"batches of {most} images take 4092 MiB, more than the 2048 MiB"):
        batches_of([image, image.reshape(1 << 20, 1, 3)], most)
    huge = np.broadcast_to(np.zeros(3, np.uint8), (40_000, 40_000, 3))
    check_bytes([huge], 1)  # a single image is what the user has
