"""Tensors on disk, how much room they need, and a disk that is full."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from fcn_deploy.errors import OutputError
from fcn_deploy.graph.load import load_graph
from fcn_deploy.graph.subgraph import Subgraph, extract_subgraph
from fcn_deploy.quantization.search import cache as search_cache
from fcn_deploy.quantization.search.cache import TensorCache, cache_bytes, check_disk_space
from fcn_deploy.quantization.search.steps import tensors_before
from tests.support.small_fcn import images, write_fcn


def test_tensors_come_back_with_names_types_and_shapes(tmp_path):
    cache = TensorCache(tmp_path)
    tensors = {
        "backbone/pool:0": np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4).transpose(0, 1, 3, 2),
        "shape": np.array(7, np.int64),
        "labels": np.array([[1, 255]], np.uint8),
        "none": np.zeros((2, 0), np.float32),
    }
    cache.put("live", 3, tensors)
    found = cache.get("live", 3)
    assert list(found) == list(tensors)
    for name, array in tensors.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert np.array_equal(found[name], array)
    cache.put("live", 3, {"pool": np.zeros(1, np.float32)})
    assert list(cache.get("live", 3)) == ["pool"]
    assert len(list(tmp_path.iterdir())) == 1
    assert not cache.has("live", 0)


def test_the_estimate_is_what_the_tensors_take(tmp_path):
    model = load_graph(write_fcn(tmp_path / "m.onnx"))
    cuts = [tensors_before(model, name, "tensorrt") for name in ("conv1", "conv2", "conv3", "score_fr", "score_pool")]
    (image,) = images(1, (1, 34, 46))
    taken = []
    for cut in cuts:
        made = Subgraph(extract_subgraph(model, ["image"], cut), tmp_path).run({"image": image})
        taken.append(sum(array.nbytes for array in made.values()))
    # Before conv3: relu2 (6 channels) and pool (4) of 17 x 23 floats.
    assert taken[2] == (6 + 4) * 17 * 23 * 4
    assert cache_bytes(model, cuts, (34, 46), 3 * 34 * 46) == 3 * max(taken)
    assert cache_bytes(model, [], (34, 46), 34 * 46) == 0


def test_too_little_room_is_reported_before_the_work(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(search_cache.shutil, "disk_usage", lambda folder: usage(0, 0, 1_064_000_000 + 3_108_864))
    check_disk_space(tmp_path / "x", 1_000_000_000)
    with pytest.raises(OutputError, match=r"up to 1\.01 GB of activations in .* 1\.00 GB are free; take fewer images"):
        check_disk_space(tmp_path / "x", 1_010_000_000)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is of Linux")
def test_a_disk_that_fills_up_is_one_clear_error(tmp_path: Path):
    (tmp_path / "live.0").symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"cannot write .*live\.0: no space is left on the device"):
        TensorCache(tmp_path).put("live", 0, {"x": np.zeros(1 << 16, np.float32)})
