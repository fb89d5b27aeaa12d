"""Windows of large frames: where the labels vary, aligned crops around them, the same part of maps of other sizes."""

from __future__ import annotations

import numpy as np

from fcn_deploy.diagnosis.slips.slip import ForeignFrame
from fcn_deploy.diagnosis.slips.views import ALIGNED, CONTEXT, SIDE, FrameView, view_of


def frame(height: int, width: int, labels: np.ndarray | None = None) -> ForeignFrame:
    image = np.zeros((height, width, 3), np.uint8)
    return ForeignFrame("a", image, None, np.zeros((height, width), np.uint8) if labels is None else labels)


def test_a_small_frame_is_whole():
    view = view_of(frame(360, 480))
    assert view.window is None
    assert view.part(view.frame.labels).shape == (360, 480)


def test_the_window_is_where_the_labels_vary():
    labels = np.zeros((1024, 2048), np.uint8)
    labels[512:700, 1000:1200] = np.random.default_rng(0).integers(0, 9, (188, 200))
    part = view_of(frame(1024, 2048, labels)).part(labels)
    assert part.shape == (SIDE, SIDE)
    assert len(np.unique(part)) == 9


def test_a_crop_starts_at_the_stride_and_holds_the_window():
    labels = np.zeros((1024, 2048), np.uint8)
    labels[512:700, 1000:1200] = 1
    view = view_of(frame(1024, 2048, labels))
    outer, inner = view.crop((1024, 2048))
    for whole, part in zip(outer, inner, strict=True):
        assert whole.start % ALIGNED == 0
        assert part.start >= CONTEXT
        assert part.stop - part.start == SIDE
    np.testing.assert_array_equal(labels[outer][inner], view.part(labels))


def test_the_same_part_of_a_map_of_another_size():
    view = FrameView(frame(1024, 2048), (0.25, 0.5, 0.5, 0.625))
    assert view.part(np.zeros((512, 512))).shape == (128, 64)
    assert view.part(np.zeros((2, 2))).shape == (1, 1)
