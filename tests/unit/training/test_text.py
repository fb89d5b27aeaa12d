"""What `train --json` writes, and the lines that it prints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fcn_deploy.training.config import TrainConfig
from fcn_deploy.training.loop import TrainResult
from fcn_deploy.training.state import EpochRecord, Position
from fcn_deploy.training.text import epoch_line, how_to_resume, render

FIRST = EpochRecord(1, 5, 0.75, 0.01, None, None, None, 30.0, 2)
SECOND = EpochRecord(2, 10, 0.5, 0.005, 0.625, 0.875, 0.25, 60.0, 1)
RESULT = TrainResult(
    TrainConfig("a", "b", Path("runs/x"), epochs=3),
    Position(step=10, history=[FIRST, SECOND], best_mean_iou=0.625, best_epoch=2),
    stopped_by=None,
    resumed=False,
)


def test_the_json_has_the_last_epoch_the_best_and_the_whole_run():
    assert RESULT.to_plain() == {
        "epochs": 2,
        "steps": 10,
        "seconds": 90.0,
        "left_out": 2,
        "loss": 0.5,
        "mean_iou": 0.625,
        "pixel_accuracy": 0.875,
        "boundary_mean_iou": 0.25,
        "best_mean_iou": 0.625,
        "best_epoch": 2,
        "best": "runs/x/best.safetensors",
        "last": "runs/x/last.safetensors",
        "int8": None,
        "page": None,
    }


def test_the_lines_have_the_same_figures():
    assert render(RESULT).splitlines() == [
        "2 epochs, 10 steps, 1.5 min, loss 0.5000, 2 images left out",
        "best  mIoU  62.5%  at epoch 2  runs/x/best.safetensors",
        "last  mIoU  62.5%  boundary  25.0%  pixel accuracy  87.5%  runs/x/last.safetensors",
        "next  fcn-deploy predict runs/x/best.safetensors IMAGES -o OUT --overlay",
        "next  fcn-deploy export runs/x/best.safetensors -o runs/x/best.onnx",
    ]
    assert epoch_line(FIRST) == "epoch    1  loss 0.7500  30.0 s"
    assert epoch_line(SECOND).endswith("  mIoU  62.5%  boundary  25.0%  pixels  87.5%  60.0 s")
    assert how_to_resume(RESULT) == (
        "stopped: 2 of 3 epochs and 10 steps done; runs/x/last.safetensors has the weights so far; go on with: "
        "fcn-deploy train --resume -o runs/x"
    )


def test_an_epoch_is_one_line_of_80_columns():
    longest = EpochRecord(9999, 5, 99.0, 0.01, 1.0, 1.0, 1.0, 60 * 999.0, 2)
    assert len(epoch_line(longest)) <= 80
    assert epoch_line(longest).endswith("pixels 100.0%  999.0 min")


def test_the_page_is_named_where_it_was_written(tmp_path):
    result = replace(RESULT, config=TrainConfig("a", "b", tmp_path, epochs=3))
    (tmp_path / "report.html").write_text("")
    assert f"page  {tmp_path / 'report.html'}" in render(result).splitlines()
    assert result.to_plain()["page"] == str(tmp_path / "report.html")
