"""The frames that changed most: which are kept, how they are made small, what their pictures say."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from fcn_deploy.benchmark.report.overlays import DIFFERENCES, VEIL, difference_uri, overlays
from fcn_deploy.benchmark.worst_frames import (
    GAINED,
    LOST,
    WorstFrames,
)
from tests.support.bench_records import RECORD
from tests.support.worst_frames import PALETTE, offered


def opened(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def test_a_pixel_that_differs_is_drawn_three_wide_with_the_gravest_on_top():
    codes = np.zeros((4, 6), np.uint8)
    codes[1, 1], codes[1, 3] = GAINED, LOST
    pixels = opened(difference_uri(codes))
    gained, lost = (DIFFERENCES[code][1] for code in (GAINED, LOST))
    assert [tuple(pixel) for pixel in pixels[0]] == [gained, gained, lost, lost, lost, VEIL]
    assert {tuple(pixel) for pixel in pixels[3]} == {VEIL}


def test_a_photograph_of_two_rows_is_stored_once_and_the_legend_names_what_is_to_be_seen():
    kept = WorstFrames()
    kept.begin(("road", "pole", "sky"), PALETTE, [0, 1])
    offered(kept, "x", 2, row=0)
    offered(kept, "x", 3, row=1)
    found = overlays(RECORD, kept)
    assert list(found.photos) == ["photo0"]
    assert [runner for runner, _ in found.rows] == ["pytorch", "onnxruntime"]
    assert found.classes == (("road", "rgb(10, 20, 30)"), ("pole", "rgb(40, 50, 60)"))
