"""Large inferences wait for each other, and one that does not fit is refused before it is tried."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from fcn_deploy.errors import ShapeError
from fcn_deploy.graph.cpu import budget as module
from fcn_deploy.graph.cpu.budget import CAUTION, PLENTY, MemoryBudget
from fcn_deploy.prediction import labeller
from fcn_deploy.prediction.predict import predict
from tests.support.fake_runners import FakeRunner


@pytest.fixture
def free(monkeypatch):
    """Set the bytes that are free."""
    return lambda nbytes: monkeypatch.setattr(module, "free_bytes", lambda: nbytes)


def _pixels(bytes_each: int):
    """Estimate so many bytes a pixel, of which the budget makes a tenth more."""
    return lambda shape: bytes_each / CAUTION * shape[0] * shape[1] * shape[2]


def test_inferences_that_fit_run_at_once_and_others_wait(free):
    free(1000)
    budget, lock, now, most = MemoryBudget(_pixels(10)), threading.Lock(), [0], []

    def run(shape):
        with budget.reserve(shape):
            with lock:
                now[0] += shape[1] * shape[2]
                most.append(now[0])
            time.sleep(0.01)
            with lock:
                now[0] -= shape[1] * shape[2]

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(run, [(1, 5, 6), (1, 7, 10), (1, 2, 3), (1, 10, 10)] * 5))
    assert len(most) == 20
    assert 70 < max(most) <= 100


def test_what_does_not_fit_alone_is_refused_with_both_sizes_and_the_way_out(free):
    free(3 << 30)
    budget = MemoryBudget(_pixels(1024))
    with pytest.raises(ShapeError, match=r"^2000x2000 pixels .* 3\.8 GiB and 3\.0 are free; give smaller images, or"):
        budget.reserve((1, 2000, 2000)).__enter__()
    budget.remedy = "lower --tile"
    with pytest.raises(ShapeError, match=r"^8x700x800 pixels .*; lower --tile$"):
        budget.reserve((8, 700, 800)).__enter__()
    with budget.reserve((1, 1700, 1800)):
        pass


def test_small_images_cost_no_estimate_and_each_large_size_one(free):
    free(PLENTY * 1000)
    asked = []
    budget = MemoryBudget(lambda shape: asked.append(shape) or 1)
    for shape in ((1, 10, 100), (2, 10, 100), (2, 10, 100), (1, 1001, 1)):
        with budget.reserve(shape):
            pass
    assert asked == [(2, 10, 100), (1, 1001, 1)]


def test_memory_that_becomes_free_is_seen_and_what_is_kept_by_earlier_inferences_counts_as_free(free):
    free(100)
    budget = MemoryBudget(_pixels(1))
    with pytest.raises(ShapeError):
        budget.reserve((1, 10, 11)).__enter__()
    free(110)
    with budget.reserve((1, 10, 11)):
        free(5)
    with pytest.raises(ShapeError):
        budget.reserve((1, 10, 12)).__enter__()
    with budget.reserve((1, 10, 11)):
        pass


def test_an_unknown_need_sets_no_limit(free):
    free(0)
    with MemoryBudget(lambda shape: None).reserve((1, 10**6, 10**6)):
        pass


@pytest.mark.parametrize("way", ["infer", "upload", "submit"])
def test_every_way_into_a_runner_asks_and_leaves_it_usable(free, way):
    free(1000)
    runner = FakeRunner()
    runner.memory = MemoryBudget(_pixels(10))
    large, small = (np.zeros((1, side, 4, 3), np.uint8) for side in (26, 25))
    call = getattr(runner, way)
    with pytest.raises(ShapeError, match="26x4 pixels"):
        call(large if way == "submit" else {"image": large})
    assert runner.infer({"image": small})["labels"].shape == (1, 25, 4)


def test_large_images_are_failures_and_the_small_ones_are_labelled(tmp_path, monkeypatch, free):
    free(1 << 20)
    for index, side in enumerate((3, 400, 400, 400, 400, 5)):
        Image.fromarray(np.full((side, 4, 3), index % 4, np.uint8)).save(tmp_path / f"{index}.png")
    runner = FakeRunner()
    runner.memory = MemoryBudget(_pixels(1024))
    monkeypatch.setattr(labeller, "open_runners", lambda *args, **options: [runner])
    (tmp_path / "fake.onnx").touch()
    report = predict(tmp_path / "fake.onnx", tmp_path, tmp_path / "masks")
    assert report.written == 2
    assert [failure.name for failure in report.failures] == ["1.png", "2.png", "3.png", "4.png"]
    assert report.failures[0].reason.startswith("400x4 pixels in one inference take about 0.0 GiB")
    assert report.failures[0].reason.endswith("--tile 1024)")
