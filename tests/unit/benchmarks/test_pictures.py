"""The pictures in docs/images are what the demo model makes of the generated scenes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from benchmarks.pictures import (
    HEIGHT,
    IMAGES,
    OVERVIEW,
    SHOWN,
    WIDTH,
    Point,
    overview,
    pictures,
    points,
    quoted_run,
)

LARGEST_BYTES = 70_000
# JPEG's own error; another scene or other labels are off by far more.
MEAN_ERROR = 6.0


@pytest.fixture(scope="module")
def drawn():
    return pictures()


def test_each_picture_is_drawn_again_as_it_is(drawn):
    assert sorted(path.name for path in IMAGES.iterdir()) == sorted(drawn)
    for name, picture in drawn.items():
        stored = np.asarray(Image.open(IMAGES / name), np.int16)
        assert stored.shape == ((HEIGHT, WIDTH, 3) if name == OVERVIEW else (192, 4 * 256 + 3 * 4, 3))
        assert np.abs(stored - np.asarray(picture, np.int16)).mean() < MEAN_ERROR, "run `make docs`"


def test_pictures_of_other_scenes_would_be_reported(drawn):
    first, second, *_ = (np.asarray(picture, np.int16) for picture in drawn.values())
    assert len(drawn) == len(SHOWN) + 1
    assert np.abs(first - second).mean() > 2 * MEAN_ERROR


def test_pictures_are_small():
    assert all(path.stat().st_size < LARGEST_BYTES for path in IMAGES.iterdir())


def test_the_overview_shows_the_timed_rows_of_the_run_on_the_page():
    rows = points(quoted_run())
    assert rows[0] == Point("pytorch", 1.0, 0.0)
    assert rows[-1] == Point("openvino:int8", 7.45, -0.17)
    assert len(rows) == 5


def test_other_figures_make_another_overview(drawn):
    moved = overview([Point("pytorch", 1.0, 0.0), Point("openvino:int8", 3.0, -0.2)])
    assert (np.asarray(moved) != np.asarray(drawn[OVERVIEW])).any()
