"""The network behind slips: windows equal the whole map away from their edges, and nothing runs twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fcn_deploy.data.dataset import open_dataset
from fcn_deploy.diagnosis.slips.forward import Forward
from fcn_deploy.diagnosis.slips.network import CutNetwork
from fcn_deploy.diagnosis.slips.slip import ForeignFrame, Slip
from fcn_deploy.diagnosis.slips.views import FrameView, view_of

BGR = Slip("BGR", "", "channels", image=lambda image: image[..., ::-1])
HWC = Slip("HWC", "", "scores", scores=lambda logits: logits)


@pytest.fixture(scope="module")
def large(demo_onnx: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Forward, ForeignFrame]:
    forward = Forward(CutNetwork(demo_onnx, tmp_path_factory.mktemp("parts")))
    sample = open_dataset("synthetic:1:3:544x768")[0]
    return forward, ForeignFrame(sample.name, sample.image, None, sample.label)


@pytest.mark.parametrize("front", [(), (BGR,)])
def test_a_window_is_a_part_of_the_whole(large: tuple[Forward, ForeignFrame], front: tuple[Slip, ...]):
    forward, frame = large
    view = view_of(frame)
    assert view.window is not None
    part, whole = forward(front, None, view), forward(front, None, FrameView(frame))
    assert part is not None
    assert whole is not None
    assert part.size == whole.size == frame.labels.shape
    assert (part.labels == view.part(whole.labels)).mean() > 0.97


def test_nothing_runs_twice_and_slips_of_logits_need_whole_maps(large: tuple[Forward, ForeignFrame]):
    forward, frame = large
    forward((BGR,), None, FrameView(frame))
    runs = forward.runs
    made = forward((BGR,), HWC, FrameView(frame))
    again = forward((BGR,), None, FrameView(frame))
    assert made is not None
    assert again is not None
    np.testing.assert_array_equal(made.labels, again.labels)
    assert forward.runs <= runs + 1
    assert forward((BGR,), HWC, view_of(frame)) is None
