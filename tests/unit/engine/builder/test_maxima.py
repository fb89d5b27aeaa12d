"""Sizes that no GPU can run."""

from __future__ import annotations

import pytest

from fcn_deploy.engine.builder.maxima import check_maxima, widest_node
from fcn_deploy.errors import EngineError
from fcn_deploy.graph.load import load_graph
from fcn_deploy.graph.sizes import ImageSize, tensor_sizes
from fcn_deploy.vocabulary import Profile
from tests.support.recorded_progress import RecordedProgress
from tests.support.small_fcn import write_fcn


def test_the_widest_node_is_counted_by_hand(tmp_path):
    model = load_graph(write_fcn(tmp_path / "m.onnx"))
    node, needed = widest_node(model, tensor_sizes(model, ImageSize(2, 34, 46)))
    # relu1: 4 channels in and 4 out, float32, at 2 x 34 x 46.
    assert (node, needed) == ("relu1", 2 * 34 * 46 * 8 * 4)


def test_sizes_that_no_gpu_can_run_are_refused_and_large_ones_are_named(tmp_path):
    model, recorded = load_graph(write_fcn(tmp_path / "m.onnx")), RecordedProgress()
    check_maxima(model, (Profile((1, 2, 2), (1, 2, 2), (8, 2000, 4000)),), recorded)
    assert recorded.lines == []
    check_maxima(model, (Profile((1, 2, 2), (1, 2, 2), (50, 4000, 6000)),), recorded)
    assert "node relu1 alone needs 38 GB for an image batch of 50x4000x6000, which few GPUs have" in recorded.lines[0]
    with pytest.raises(EngineError, match=r"needs 8,796 GB .* no GPU has that: lower --max"):
        check_maxima(model, (Profile((1, 2, 2), (1, 2, 2), (64, 65536, 65536)),))
