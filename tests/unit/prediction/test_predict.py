"""`predict` with runners that misbehave, and with a function in place of whole images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fcn_deploy.card import ModelCard
from fcn_deploy.data.images import load_label
from fcn_deploy.errors import DataError, OutputError, RunnerError
from fcn_deploy.prediction import labeller as module
from fcn_deploy.prediction.pipeline import _InFlight
from fcn_deploy.prediction.predict import predict
from fcn_deploy.prediction.report import PredictReport
from fcn_deploy.runners.engine_options import TrtOptions
from tests.support.fake_runners import FakeRunner
from tests.support.fakes.machine import Machine
from tests.support.tensorrt_nets import *  # noqa: F403  (fixtures)
from tests.support.tensorrt_nets import PROFILES, noise

CARD = ModelCard("fcn8s", tuple("abcd"))


@pytest.fixture
def photos(tmp_path):
    """20 images whose red value is their number modulo 4, and 50 for those that `hurt`."""
    (tmp_path / "photos").mkdir()

    def write(hurt=()):
        for index in range(20):
            shade = 50 if index in hurt else index % 4
            Image.fromarray(np.full((3, 5, 3), shade, np.uint8)).save(tmp_path / "photos" / f"{index:02}.png")
        return tmp_path / "photos"

    return write


def opened(monkeypatch, *runners: FakeRunner) -> None:
    monkeypatch.setattr(module, "open_runners", lambda *args, **options: list(runners))


def predicted(photos: Path, **given: Any) -> PredictReport:
    model = photos.parent / "fake.onnx"
    model.touch()
    return predict(model, photos, photos.parent / "masks", **{"format": "raw", **given})


def noted(function: Any, reasons: list[str]) -> Any:
    def call(feed: Any, batch: Any, error: Exception) -> Any:
        reasons.append(str(error))
        return function(feed, batch, error)

    return call


class Moody(FakeRunner):
    """Refuses images of shade 50."""

    def _execute(self) -> None:
        if self._image.max() == 50:
            raise RunnerError("out of memory")


def test_an_image_that_the_runner_refuses_stops_nothing(photos, monkeypatch):
    opened(monkeypatch, Moody(card=CARD))
    report = predicted(photos(hurt=(3, 4, 9, 11)))
    assert report.written == 16
    assert [failure.name for failure in report.failures] == ["03.png", "04.png", "09.png", "11.png"]
    assert report.failures[0].reason == "out of memory"


def test_a_runner_that_refuses_three_in_turn_stops_the_run(photos, monkeypatch):
    opened(monkeypatch, Moody(card=CARD))
    with pytest.raises(RunnerError, match=r"3 images in a row failed; last 08\.png: out of memory"):
        predicted(photos(hurt=(1, 6, 7, 8)))
    assert load_label(photos().parent / "masks" / "05.png").tolist() == [[1] * 5] * 3


def test_a_gpu_that_runs_out_of_memory_in_the_middle_labels_every_image_in_smaller_batches(
    tmp_path, monkeypatch, net, reference
):
    machine = Machine(monkeypatch, 1, total_bytes=1_100_000)  # a slot with four images takes 615,000
    images = [noise((1, 97, 99), seed) for seed in range(12)]
    (tmp_path / "photos").mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image[0]).save(tmp_path / "photos" / f"{number:02}.png")
    refused = []
    monkeypatch.setattr(_InFlight, "_refused", noted(_InFlight._refused, refused))
    report = predict(
        machine.build(net, PROFILES),
        tmp_path / "photos",
        tmp_path / "masks",
        batch=4,
        format="raw",
        workers=2,
        engine=TrtOptions(slots=2),
    )
    assert (report.written, report.failures) == (12, ())
    assert all("out of GPU memory" in reason for reason in refused)
    assert refused
    for number, image in enumerate(images):
        assert np.array_equal(load_label(tmp_path / "masks" / f"{number:02}.png"), reference(image)["labels"][0])
    machine.check()


def test_a_label_that_is_no_class_is_a_failure_and_is_not_written(photos, monkeypatch):
    opened(monkeypatch, FakeRunner(card=CARD, num_classes=51))
    report = predicted(photos(hurt=(5,)))
    assert [failure.reason for failure in report.failures] == ["the model gives label 50, but there are 4 classes"]
    assert not (photos().parent / "masks" / "05.png").exists()


def test_two_lanes_share_the_images(photos, monkeypatch):
    runners = [FakeRunner(card=CARD, sleep_s=0.005), FakeRunner(card=CARD, sleep_s=0.005)]
    opened(monkeypatch, *runners)
    assert predicted(photos()).written == 20
    counts = [len(runner.shapes) for runner in runners]
    assert sum(counts) == 20
    assert min(counts) >= 5


def test_wide_labels_do_not_fit_an_indexed_file(photos, monkeypatch):
    wide = ModelCard("fcn8s", tuple(f"c{index}" for index in range(300)))
    opened(monkeypatch, FakeRunner(card=wide))
    with pytest.raises(OutputError, match="indexed PNG holds 256 classes and the model has 300; use --format raw"):
        predicted(photos(), format="indexed")


def test_images_that_collide_are_reported_before_any_is_run(photos, monkeypatch):
    runner = FakeRunner(card=CARD)
    opened(monkeypatch, runner)
    folder = photos()
    (folder / "07.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"07\.jpg and .*07\.png would both be written"):
        predicted(folder)
    assert runner.shapes == []
    assert len(predicted(folder, keep_suffix=True).failures) == 1
