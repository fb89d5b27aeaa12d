"""`predict` with runners that misbehave, and with a function in place of whole images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from PIL import Image

from fcn_deploy.card import ModelCard
from fcn_deploy.data.images import load_label
from fcn_deploy.errors import DataError, GraphError, OutputError, RunnerError
from fcn_deploy.prediction import labeller as module
from fcn_deploy.prediction.pipeline import _InFlight
from fcn_deploy.prediction.predict import predict
from fcn_deploy.prediction.report import PredictReport
from fcn_deploy.runners.engine_options import TrtOptions
from fcn_deploy.runners.registry import open_runner
from tests.support.contract_graphs import small_graph
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
    opened(monkeypatch, FakeRunner(card=ModelCard("fcn8s", tuple(f"c{index}" for index in range(65_536)))))
    with pytest.raises(OutputError, match="a PNG holds 65535 classes and the model has 65536; use --format npy"):
        predicted(photos(), format="raw")


def test_images_that_collide_are_reported_before_any_is_run(photos, monkeypatch):
    runner = FakeRunner(card=CARD)
    opened(monkeypatch, runner)
    folder = photos()
    (folder / "07.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"07\.jpg and .*07\.png would both be written"):
        predicted(folder)
    assert runner.shapes == []
    assert len(predicted(folder, keep_suffix=True).failures) == 1


@pytest.fixture
def sure_file(tmp_path):
    ir.save(small_graph(outputs=("labels", "confidence"), gain=0.01), tmp_path / "sure.onnx")
    return tmp_path / "sure.onnx"


def test_confidence_is_written_next_to_the_labels_and_its_mean_to_the_areas(photos, sure_file, tmp_path):
    sources, conf = photos(), tmp_path / "conf"
    report = predict(sure_file, sources, tmp_path / "masks", confidence=conf, areas=tmp_path / "areas.csv")
    assert report.written == 20
    with open_runner("onnxruntime", str(sure_file), outputs=("labels", "confidence")) as runner:
        expected = runner.infer({"image": np.full((1, 3, 5, 3), 3, np.uint8)})
    written = Image.open(conf / "07.png")  # image 7 has shade 3
    assert written.mode == "L"
    assert np.array_equal(np.asarray(written), expected["confidence"][0])
    assert np.array_equal(load_label(tmp_path / "masks" / "07.png"), expected["labels"][0])
    header, *rows = (tmp_path / "areas.csv").read_text().splitlines()
    assert header == "image,pixels,a,b,c,mean confidence"
    assert rows[7].split(",")[-1] == f"{expected['confidence'].mean() / 255:.4f}"
    (conf / "03.png").unlink()  # both must be there to be skipped; what is read again gives the same table
    given = {"confidence": conf, "areas": tmp_path / "again.csv", "skip_existing": True}
    again = predict(sure_file, sources, tmp_path / "masks", **given)
    assert (again.written, again.skipped) == (1, 19)
    assert (tmp_path / "again.csv").read_text() == (tmp_path / "areas.csv").read_text()


def test_confidence_among_the_images_is_no_image_of_the_next_run(photos, sure_file, tmp_path):
    sources = photos()
    for _ in range(2):
        report = predict(sure_file, sources, tmp_path / "masks", confidence=sources / "conf")
        assert report.written == 20


def test_one_image_has_its_confidence_under_the_name_of_its_label_map(photos, sure_file, tmp_path):
    predict(sure_file, photos() / "01.png", tmp_path / "mask.png", confidence=tmp_path / "conf")
    assert [path.name for path in (tmp_path / "conf").iterdir()] == ["mask.png"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"confidence": "masks"}, "the label maps are written to .*masks too; give --confidence another folder"),
        ({"confidence": "conf", "tile": 64}, "tiles are written without confidence; leave --confidence or --tile out"),
    ],
)
def test_confidence_that_cannot_be_written_is_one_error(photos, sure_file, tmp_path, given, message):
    given["confidence"] = tmp_path / given["confidence"]
    with pytest.raises(OutputError, match=message):
        predict(sure_file, photos(), tmp_path / "masks", **given)


def test_a_file_without_confidence_says_how_to_get_it(photos, tmp_path):
    ir.save(small_graph(outputs=("labels",)), tmp_path / "labels.onnx")
    with pytest.raises(GraphError, match="export it again with --outputs labels,confidence"):
        predict(tmp_path / "labels.onnx", photos(), tmp_path / "masks", confidence=tmp_path / "conf")
