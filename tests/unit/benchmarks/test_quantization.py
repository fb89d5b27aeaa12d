"""The accuracy record of FP16 and INT8: its figures, and a run on a made-up data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import quantization
from benchmarks.quantization import Scored, measure, row
from benchmarks.readme import accuracy_table
from tests.support.small_fcn import CLASSES, images, write_fcn


def _scored(labels: list[list[int]]) -> Scored:
    """Two pixels of two classes an image; the truth is (0, 1) in each, and none is near a boundary but the second."""
    overall, boundary = np.zeros((2, len(labels), 2, 2), np.int64)
    for index, (first, second) in enumerate(labels):
        overall[index, 0, first] += 1
        overall[index, 1, second] += 1
        boundary[index, 1, second] += 1
    return Scored(overall, boundary, [np.uint8([[pair]]) for pair in labels])


def test_a_row_holds_points_changes_and_the_counts_behind_them(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(250_000))
    fp32, other = _scored([[0, 1], [0, 1], [0, 1], [0, 0]]), _scored([[0, 1]] * 3 + [[1, 1]])
    found = row("int8", path, other, fp32)
    # FP32: class 0 has 4 of 5, class 1 has 3 of 4. The other: 3 of 4 and 4 of 5.
    assert found["mean_iou"] == pytest.approx(100 * (3 / 4 + 4 / 5) / 2)
    assert found["change"][0] == pytest.approx(0, abs=1e-12)
    # Of the boundary's four pixels, all of class 1, FP32 has 3 and one for class 0: IoUs 0 and 3/4; the other has all.
    assert found["boundary_mean_iou"] == 100
    assert found["boundary_change"][0] == pytest.approx(100 - 100 * (0 + 3 / 4) / 2)
    # A draw with the one image that differs twice has a larger change; for four images Student's t widens both sides.
    assert found["boundary_change"][1] < 0
    assert found["boundary_change"][2] > found["boundary_change"][0]
    assert found["same_labels"] == [6, 8]
    assert found["bytes"] == 250_000
    assert found["counts"] == [[3, 1], [0, 4]]


def test_the_table_is_in_points_against_the_first_row():
    common = {"boundary_change": [-0.5, None, None], "same_labels": [999, 1000], "bytes": 8_640_000}
    rows = [
        {**common, "name": "FP32", "mean_iou": 58.349, "change": [0, 0, 0]},
        {**common, "name": "int8", "mean_iou": 58.1, "change": [-0.249, -0.301, 0.02]},
    ]
    assert accuracy_table({"rows": rows}).splitlines()[2:] == [
        "| FP32 | 58.35 |  |  |  | 8.6 |",
        "| int8 | 58.10 | -0.25 (-0.30 to +0.02) | -0.50 | 99.900 % | 8.6 |",
    ]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three images to calibrate with and three to score on, one of them the same, with label maps."""
    folder = tmp_path / "streets"
    (folder / "frames").mkdir(parents=True)
    for index in range(5):
        Image.fromarray(images(1, (1, 34, 46), seed=index)[0][0]).save(folder / "frames" / f"{index}.png")
    label = np.repeat(np.where(np.arange(46) < 20, 0, 2)[None], 34, axis=0).astype(np.uint8)
    Image.fromarray(label).save(folder / "label.png")
    for name, indices in (("train", (0, 1, 2)), ("val", (2, 3, 4))):
        (folder / f"{name}.txt").write_text("".join(f"frames/{index}.png label.png\n" for index in indices))
    (folder / "classes.txt").write_text("\n".join(CLASSES))
    return folder


def test_files_of_both_quantisers_are_scored_on_the_same_images_and_no_path_is_reported(data, tmp_path, monkeypatch):
    pytest.importorskip("openvino", reason="openvino is not installed")
    monkeypatch.setattr(quantization, "METHODS", ("mse",))
    rows, facts = measure(str(write_fcn(tmp_path / "fcn.onnx")), str(data))
    assert [one["name"] for one in rows] == [
        "FP32",
        "fp16",
        "bf16",
        "fp8, tensorrt",
        "fp8+fp16, tensorrt",
        "int8, tensorrt, mse",
        "int8, tensorrt, mse, equalised",
        "int8, tensorrt, mse, biases corrected",
        "int8, tensorrt, mse, equalised, biases corrected",
        "int8, cpu, mse",
        "int8, cpu, mse, in openvino",
        "int8, cpu, mse, equalised",
        "int8, cpu, mse, biases corrected",
        "int8, cpu, mse, equalised, biases corrected",
        "int8+fp16, tensorrt, mse",
        "onnxruntime quantize_static, its defaults",
        "onnxruntime quantize_static, uint8, per channel",
    ]
    assert rows[0]["change"] == [0, 0, 0]
    assert all(np.sum(one["counts"]) == 3 * 34 * 46 for one in rows)
    assert rows[0]["same_labels"] == [3 * 34 * 46] * 2
    assert facts["calibration_images"] == ["frames/0.png", "frames/1.png", "frames/2.png"]
    assert (facts["data"], facts["validation_images"], facts["images_in_both"]) == ("streets", 3, 1)
    assert str(tmp_path) not in str((rows, facts))
