"""The page about a finished run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fcn_deploy.errors import OutputError
from fcn_deploy.training import loop
from fcn_deploy.training.config import TrainConfig
from fcn_deploy.training.loop import run_training
from tests.support.masks import write_masks
from tests.support.recorded_progress import RecordedProgress
from tests.support.training_runs import killed_at, tiny_runs


@pytest.fixture
def config(tmp_path: Path) -> Iterator[TrainConfig]:
    with tiny_runs(tmp_path / "run") as tiny:
        yield tiny


def test_the_page_has_curves_classes_frames_and_the_next_command(config):
    result = run_training(config)
    page = result.page.read_text(encoding="utf-8")
    assert [title in page for title in ("Loss, nats", "Validation, %", "IoU of each class, %")] == [True] * 3
    assert page.count("<article>") == 2  # the validation set has two images
    assert page.count('class="labels"') == 4  # ground truth and prediction of each
    assert len(re.findall(r"\.photo\d{background-image:url\(.data:image/jpeg", page)) == 2
    assert f"fcn-deploy export {result.best} -o {config.output / 'best.onnx'}" in page
    assert "--data synthetic:5:0:33x47" in page
    assert "<script" not in page
    best = max(record.mean_iou for record in result.position.history)
    assert f"Best mIoU {best:.1%} at epoch {result.position.best_epoch} of 3." in page


def test_names_of_the_user_are_text_on_the_page_and_a_frame_that_cannot_be_read_is_left_out(config, tmp_path):
    write_masks(tmp_path / "set", (0, 1), count=3)
    (tmp_path / "set/images/1.png").write_bytes(b"")
    own = replace(
        config, data=str(tmp_path / "set/images"), labels=str(tmp_path / "set/masks"), val=str(tmp_path / "set/images"),
        val_labels=str(tmp_path / "set/masks"), classes=("<b>road", "sky"), bad_images="skip", epochs=1,
    )  # fmt: skip
    page = run_training(own).page.read_text(encoding="utf-8")
    assert "&lt;b&gt;road" in page
    assert "<b>road" not in page
    assert page.count("<article>") == 2


def test_a_stopped_run_has_no_page_and_a_page_that_fails_loses_no_run(config, monkeypatch):
    killed_at(2, config)
    assert not (config.output / "report.html").exists()

    def fail(*args):
        raise OutputError("report.html: no space is left on the device")

    monkeypatch.setattr(loop, "write_page", fail)
    recorded = RecordedProgress()
    result = run_training(config, start="resume", progress=recorded)
    assert (result.page, len(result.position.history)) == (None, 3)
    assert recorded.lines[-1].endswith("is not written: report.html: no space is left on the device")
