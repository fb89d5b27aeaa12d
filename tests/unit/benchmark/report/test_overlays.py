"""The frames that changed most: which are kept, how they are made small, what their pictures say."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from fcn_deploy.benchmark.report.overlays import DIFFERENCES, VEIL, difference_uri, labels_uri, overlays, photo_uri
from fcn_deploy.benchmark.worst_frames import (
    ALIKE,
    BOTH_WRONG,
    GAINED,
    LOST,
    UNLABELLED,
    WorstFrames,
    difference,
    reduced,
)
from fcn_deploy.data.sample import Sample
from tests.support.bench_records import RECORD

PALETTE = ((10, 20, 30), (40, 50, 60), (70, 80, 90))


def sample(name: str, height: int = 5, width: int = 7) -> Sample:
    return Sample(np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.uint8), name)


def offered(kept: WorstFrames, name: str, differing: int, row: int = 0) -> None:
    reference = np.zeros((5, 7), np.uint8)
    labels = reference.copy()
    labels.flat[:differing] = 1
    kept.offer(row, sample(name), reference, labels)


def opened(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def test_a_pixel_that_differs_says_who_is_right():
    truth = np.array([[0, 0, 1, 2, 255]], np.uint8)
    reference = np.array([[0, 1, 1, 0, 0]], np.uint8)
    labels = np.array([[0, 0, 0, 1, 1]], np.uint8)
    assert difference(truth, reference, labels, 255).tolist() == [[ALIKE, GAINED, LOST, BOTH_WRONG, UNLABELLED]]
    assert difference(None, reference, labels, 255).tolist() == [[ALIKE] + [UNLABELLED] * 4]


def test_the_worst_frames_of_each_row_are_kept_the_worst_first():
    kept = WorstFrames(most=2)
    kept.begin(("a", "b"), PALETTE[:2], [0, 3])
    for name, differing in (("x", 2), ("same", 0), ("y", 5), ("z", 3), ("w", 1)):
        offered(kept, name, differing)
    offered(kept, "other", 1, row=1)
    assert {row: [frame.name for frame in frames] for row, frames in kept.rows.items()} == {0: ["y", "z"], 3: ["other"]}
    assert [frame.differing for frame in kept.rows[0]] == [5, 3]


def test_a_large_frame_is_thinned_out_and_keeps_its_gravest_differences():
    # 1025 x 33: every third pixel; the difference at row 1, column 2 falls into the first block
    large = sample("large", 1025, 33)
    reference, labels = np.zeros((1025, 33), np.uint8), np.zeros((1025, 33), np.uint8)
    labels[1, 2], labels[1024, 32] = 1, 2
    frame = reduced(large, reference, labels)
    assert (frame.factor, frame.image.shape, frame.labels.shape) == (3, (342, 11, 3), (342, 11))
    assert frame.difference.shape == (342, 11)
    assert np.argwhere(frame.difference == LOST).tolist() == [[0, 0], [341, 10]]
    assert frame.counts == (1025 * 33 - 2, 0, 0, 0, 2)


def test_labels_become_their_colours_and_what_is_no_class_becomes_transparent():
    pixels = opened(labels_uri(np.array([[0, 2, 255]], np.uint8), PALETTE))
    assert pixels.tolist() == [[[10, 20, 30, 255], [70, 80, 90, 255], [0, 0, 0, 0]]]
    wide = opened(labels_uri(np.array([[1, -1]], np.int32), PALETTE))
    assert wide.tolist() == [[[40, 50, 60, 255], [0, 0, 0, 0]]]


def test_a_pixel_that_differs_is_drawn_three_wide_with_the_gravest_on_top():
    codes = np.zeros((4, 6), np.uint8)
    codes[1, 1], codes[1, 3] = GAINED, LOST
    pixels = opened(difference_uri(codes))
    gained, lost = (DIFFERENCES[code][1] for code in (GAINED, LOST))
    assert [tuple(pixel) for pixel in pixels[0]] == [gained, gained, lost, lost, lost, VEIL]
    assert {tuple(pixel) for pixel in pixels[3]} == {VEIL}


def test_a_photograph_is_a_small_jpeg():
    image = np.full((33, 47, 3), (200, 100, 50), np.uint8)
    pixels = opened(photo_uri(image))
    assert pixels.shape == (33, 47, 3)
    # quality 85 of a plain colour
    assert abs(pixels.astype(int) - image).max() <= 3


def test_a_photograph_of_two_rows_is_stored_once_and_the_legend_names_what_is_to_be_seen():
    kept = WorstFrames()
    kept.begin(("road", "pole", "sky"), PALETTE, [0, 1])
    offered(kept, "x", 2, row=0)
    offered(kept, "x", 3, row=1)
    found = overlays(RECORD, kept)
    assert list(found.photos) == ["photo0"]
    assert [runner for runner, _ in found.rows] == ["pytorch", "onnxruntime"]
    assert found.classes == (("road", "rgb(10, 20, 30)"), ("pole", "rgb(40, 50, 60)"))
