"""The ways that the suite of `predict` times, on a small network and a few images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from benchmarks import predict as suite
from benchmarks.predict import INFERENCE, IO, LOOP, OURS, WAYS, Job, require_same, write_images
from tests.support.onnx_files import write_graph

COUNT = 6


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    folder = tmp_path_factory.mktemp("predict")
    write_images(folder / "images", COUNT, scenes=4)
    return Job(str(write_graph(folder / "small.onnx")), str(folder / "images"), str(folder / "masks"), batch=2)


def test_images_beyond_the_scenes_are_links(job):
    first, again = (f"{job.images}/{index:05}.jpg" for index in (1, 5))
    assert np.array_equal(np.asarray(Image.open(first)), np.asarray(Image.open(again)))


@pytest.mark.parametrize("overlay", [False, True])
def test_ours_and_the_loop_write_the_same_files_and_the_bounds_none_or_empty_ones(job, tmp_path, overlay):
    timed = {
        way: run(replace(job, target=str(tmp_path / way), overlay=overlay)) for way, run in WAYS.items()
    }  # fmt: skip
    assert all(one.seconds > 0 for one in timed.values())
    assert set(timed[OURS].waited) == {"decoding", "inference", "writing"}
    assert timed[OURS].steady > 0
    names = sorted(path.name for path in (tmp_path / LOOP).iterdir())
    assert len(names) == COUNT * (1 + overlay)
    assert sorted(path.name for path in (tmp_path / OURS).iterdir()) == names
    require_same(tmp_path / OURS, tmp_path / LOOP, 0)
    assert not np.asarray(Image.open(tmp_path / IO / "00000.png")).any()
    assert not (tmp_path / INFERENCE).exists()
    with pytest.raises(SystemExit, match="labels differ"):
        require_same(tmp_path / OURS, tmp_path / IO, 0)


def test_a_run_in_a_process_of_its_own_gives_its_peak(job, tmp_path):
    timed = suite.in_child(OURS, replace(job, target=str(tmp_path / "masks")))
    assert timed.seconds > 0
    assert timed.peak_bytes > 1 << 20
