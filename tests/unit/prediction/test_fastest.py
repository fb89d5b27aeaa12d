"""`--runner auto` opens the runner that is fastest on the first image, and the default where that is about as fast."""

from __future__ import annotations

import time
from contextlib import ExitStack
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from fcn_deploy.errors import RunnerError
from fcn_deploy.prediction import fastest
from fcn_deploy.prediction.cluster.resources import Cluster
from fcn_deploy.prediction.fastest import candidates, open_fastest
from fcn_deploy.prediction.images.lazy_images import first_image
from fcn_deploy.prediction.images.sources import find_sources
from fcn_deploy.prediction.predict import predict
from fcn_deploy.runners import registry
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.engine_options import TrtOptions
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.vocabulary import LABELS
from tests.support.small_fcn import CARD, write_fcn

IMAGE = np.zeros((16, 24, 3), np.uint8)


class Timed(Runner):
    """Takes `SECONDS` of its name for its labels."""

    SECONDS: ClassVar = {"onnxruntime": 0.004, "openvino": 0.001}
    LABEL: ClassVar = {"onnxruntime": 0, "openvino": 1}
    closed: ClassVar[list[str]] = []

    @classmethod
    def open(cls, name, source, *, device, outputs, threads, **given):
        if cls.SECONDS[name] < 0:
            raise RunnerError(f"{name} cannot")
        return cls(name, CARD)

    def clone(self):
        return Timed(self.name, CARD)

    def _upload(self, image):
        self._shape = image.shape[:3]

    def _execute(self):
        time.sleep(self.SECONDS[self.name])

    def _download(self):
        labels = np.zeros(self._shape, np.uint8)
        labels[:, -1] = 2  # of one class alone, their scores would be looked at, in runners of their own
        labels[:, : self._shape[1] // 4] = self.LABEL[self.name]
        return {LABELS: labels}

    def _close(self):
        self.closed.append(self.name)


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "class_of", lambda name: Timed)
    monkeypatch.setattr(Timed, "closed", [])
    return ModelSource(write_fcn(tmp_path / "m.onnx"))


def choose(source):
    with ExitStack() as stack:
        runners, notes = open_fastest(source, stack, IMAGE, threads=1, lanes=2)
        return [runner.name for runner in runners], notes, list(Timed.closed)


def test_the_fastest_is_kept_open_with_its_lanes_and_the_note_has_all_times(source):
    names, notes, closed = choose(source)
    assert names == ["openvino", "openvino"]
    assert closed == ["onnxruntime"] * 2
    assert Timed.closed[2:] == ["openvino"] * 2
    (note,) = notes
    assert note.startswith("auto: openvino is the fastest on the first image, 16x24: onnxruntime ")
    assert note.endswith("; 75.000 % of its labels there are those of onnxruntime")


def test_the_default_stays_where_no_other_is_five_per_cent_faster(source, monkeypatch):
    monkeypatch.setattr(Timed, "SECONDS", {"onnxruntime": 0.002, "openvino": 0.003})
    names, (note,), closed = choose(source)
    assert (names, closed) == (["onnxruntime"] * 2, ["openvino"] * 2)
    assert "labels" not in note
    monkeypatch.setattr(fastest, "FASTER_BY", 100)
    monkeypatch.setattr(Timed, "SECONDS", {"onnxruntime": 0.003, "openvino": 0.002})
    assert choose(source)[0] == ["onnxruntime"] * 2


def test_a_runner_that_fails_is_named_and_only_if_all_do_the_run_ends(source, monkeypatch):
    monkeypatch.setattr(Timed, "SECONDS", {"onnxruntime": -1, "openvino": 0.001})
    names, (note,), _ = choose(source)
    assert names == ["openvino"] * 2
    assert "onnxruntime failed (onnxruntime cannot), openvino " in note
    monkeypatch.setattr(Timed, "SECONDS", {"onnxruntime": -1, "openvino": -1})
    with pytest.raises(RunnerError, match=r"^onnxruntime cannot"):
        choose(source)


def test_the_default_comes_first_and_an_engine_has_no_other(source):
    assert candidates(source) == ["onnxruntime", "openvino"]
    assert candidates(ModelSource("demo")) == ["pytorch", "onnxruntime", "openvino"]
    assert candidates(SimpleNamespace(default_runner="tensorrt")) == ["tensorrt"]


def test_the_first_image_that_can_be_read_is_timed(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"broken")
    assert first_image(find_sources((str(tmp_path),), exclude=None)) is None
    Image.fromarray(IMAGE).save(tmp_path / "b.png")
    image = first_image(find_sources((str(tmp_path),), exclude=None))
    assert image is not None
    assert image.shape == IMAGE.shape


def test_a_run_with_auto_reports_the_runner_that_it_chose(tmp_path):
    model = write_fcn(tmp_path / "m.onnx")
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        Image.fromarray(IMAGE).save(tmp_path / "in" / f"{name}.png")
    report = predict(model, tmp_path / "in", tmp_path / "out", runner="auto")
    assert report.written == 2
    assert report.runner in ("onnxruntime", "openvino")
    assert any(note.startswith(f"auto: {report.runner} is the fastest") for note in report.notes)


@pytest.mark.parametrize("given", [{"tile": 64}, {"engine": TrtOptions()}, {"cluster": Cluster()}])
def test_auto_is_refused_where_there_is_nothing_to_time(tmp_path, given):
    with pytest.raises(RunnerError, match="auto times whole images in this process; name a runner"):
        predict("demo", tmp_path, tmp_path / "out", runner="auto", **given)
