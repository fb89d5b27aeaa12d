"""The pictures in docs/images are what the demo model makes of the generated scenes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from benchmarks.pictures import IMAGES, SHOWN, strips

LARGEST_BYTES = 60_000
# JPEG's own error; another scene or other labels are off by far more.
MEAN_ERROR = 6.0


@pytest.fixture(scope="module")
def drawn():
    return strips()


def test_each_picture_is_drawn_anew_as_it_stands(drawn):
    assert sorted(path.name for path in IMAGES.iterdir()) == sorted(drawn)
    for name, picture in drawn.items():
        stored = np.asarray(Image.open(IMAGES / name), np.int16)
        assert stored.shape == (192, 4 * 256 + 3 * 4, 3)
        assert np.abs(stored - np.asarray(picture, np.int16)).mean() < MEAN_ERROR, "run `make docs`"


def test_pictures_of_other_scenes_would_be_told(drawn):
    first, second, *_ = (np.asarray(picture, np.int16) for picture in drawn.values())
    assert len(drawn) == len(SHOWN)
    assert np.abs(first - second).mean() > 2 * MEAN_ERROR


def test_pictures_are_small():
    assert all(path.stat().st_size < LARGEST_BYTES for path in IMAGES.iterdir())
