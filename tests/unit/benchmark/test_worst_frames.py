"""Which frames a run keeps for its page."""

from __future__ import annotations

import numpy as np

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
from tests.support.worst_frames import PALETTE, offered, sample


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
