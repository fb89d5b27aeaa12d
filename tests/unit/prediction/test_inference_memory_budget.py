"""Large inferences wait for each other, and one that does not fit is refused before it is tried."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from fcn_deploy.card import FOREIGN, ModelCard
from fcn_deploy.errors import ShapeError
from fcn_deploy.prediction import labeller as module
from fcn_deploy.prediction.inference import MemoryBudget, bytes_per_pixel, memory_budget_for
from fcn_deploy.prediction.predict import predict
from tests.support.fake_runners import FakeRunner

CARD = ModelCard("fcn8s", tuple("abcd"))


def test_inferences_that_fit_run_at_once_and_others_wait():
    budget, lock, now, most = MemoryBudget(10.0, 1000), threading.Lock(), [0], []

    def run(shape):
        with budget.reserve(shape):
            with lock:
                now[0] += shape[1] * shape[2]
                most.append(now[0])
            time.sleep(0.01)
            with lock:
                now[0] -= shape[1] * shape[2]

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(run, [(1, 5, 6, 3), (1, 7, 10, 3), (1, 2, 3, 3), (1, 10, 10, 3)] * 5))
    assert len(most) == 20
    assert 70 < max(most) <= 100


def test_what_does_not_fit_alone_is_refused_with_both_sizes_and_the_way_out():
    budget = MemoryBudget(1024.0, 3 << 30)
    with pytest.raises(ShapeError, match=r"^2000x2000 pixels .* about 3\.8 GiB and 3\.0 are free; .*--tile 1024"):
        budget.reserve((1, 2000, 2000, 3)).__enter__()
    with budget.reserve((1, 1700, 1800, 3)):
        pass


def test_the_estimate_goes_by_width_and_type_and_leaves_other_networks_and_devices_alone():
    assert bytes_per_pixel(CARD, 16) == 1024
    quarter = ModelCard("fcn32s-caffe", ("a",), options={"width": 0.25}, notes={"precision": "int8, target cpu"})
    assert bytes_per_pixel(quarter, 16) == 128
    assert bytes_per_pixel(ModelCard("fcn-resnet50", ("a",)), 16) == 0
    assert bytes_per_pixel(ModelCard(FOREIGN, ("a",)), 16) == 0
    for runner in (FakeRunner("onnxruntime:cuda", card=CARD), FakeRunner("onnxruntime", card=None)):
        with memory_budget_for(runner).reserve((1, 10**6, 10**6, 3)):
            pass
    with pytest.raises(ShapeError):
        memory_budget_for(FakeRunner("onnxruntime", card=CARD)).reserve((1, 10**6, 10**6, 3)).__enter__()


def test_large_images_are_failures_and_the_small_ones_are_labelled(tmp_path, monkeypatch):
    for index, side in enumerate((3, 400, 400, 400, 400, 5)):
        Image.fromarray(np.full((side, 4, 3), index % 4, np.uint8)).save(tmp_path / f"{index}.png")
    runner = FakeRunner("onnxruntime", card=CARD)
    monkeypatch.setattr(module, "open_runners", lambda *args, **options: [runner])
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 1 << 20}))
    (tmp_path / "fake.onnx").touch()
    report = predict(tmp_path / "fake.onnx", tmp_path, tmp_path / "masks")
    assert report.written == 2
    assert [failure.name for failure in report.failures] == ["1.png", "2.png", "3.png", "4.png"]
    assert "400x4 pixels in one inference" in report.failures[0].reason
