"""The record of precisions: its figures, other tools' files, and a run on a made-up data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from benchmarks import quantization, quantizers
from benchmarks.quantization import OURS, measure, time_files
from benchmarks.quantization_rows import Scored, against, row
from benchmarks.quantization_table import accuracy_table, precision_table, verdict
from benchmarks.tuning import Tuning, tuned_files
from fcn_deploy.data.options import DataOptions
from fcn_deploy.graph.load import read_card
from fcn_deploy.graph.session import open_cpu_session
from tests.support.small_fcn import CLASSES, images, write_fcn


def _scored(labels: list[list[int]]) -> Scored:
    """Two pixels of two classes an image; the truth is (0, 1) in each, and none is near a boundary but the second."""
    overall, boundary = np.zeros((2, len(labels), 2, 2), np.int64)
    for index, (first, second) in enumerate(labels):
        overall[index, 0, first] += 1
        overall[index, 1, second] += 1
        boundary[index, 1, second] += 1
    return Scored(overall, boundary, [np.uint8([[pair]]) for pair in labels])


FOUR, ONE_OTHER = _scored([[0, 1], [0, 1], [0, 1], [0, 0]]), _scored([[0, 1]] * 3 + [[1, 1]])


def test_a_row_holds_points_changes_and_the_counts_behind_them(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(250_000))
    found = row("int8", "openvino", path, ONE_OTHER, FOUR, ("road", "car"))
    # FP32: class 0 has 4 of 5, class 1 has 3 of 4. The other: 3 of 4 and 4 of 5.
    assert found["mean_iou"] == pytest.approx(100 * (3 / 4 + 4 / 5) / 2)
    assert found["change"][0] == pytest.approx(0, abs=1e-12)
    assert found["worst_class"]["name"] == "road"
    assert found["worst_class"]["change"][0] == pytest.approx(100 * (3 / 4 - 4 / 5))
    # Of the boundary's four pixels, all of class 1, FP32 has 3 and one for class 0: IoUs 0 and 3/4; the other has all.
    assert found["boundary_mean_iou"] == 100
    assert found["boundary_change"][0] == pytest.approx(100 - 100 * (0 + 3 / 4) / 2)
    # A draw with the one image that differs twice has a larger change; for four images Student's t widens both sides.
    assert found["boundary_change"][1] < 0
    assert found["boundary_change"][2] > found["boundary_change"][0]
    assert found["same_labels"] == [6, 8]
    assert found["bytes"] == 250_000
    assert found["counts"] == [[3, 1], [0, 4]]


def test_ours_is_compared_with_another_tools_file_on_the_same_images():
    worse = _scored([[1, 1]] * 4)  # IoUs 0 and 1/2
    found = against({"cpu": _scored([[0, 1]] * 4), "tensorrt": worse}, worse)
    assert found["cpu"]["change"] == [pytest.approx(75)] * 3
    assert found["tensorrt"] == {"change": [0, 0, 0], "boundary_change": [0, 0, 0]}
    assert verdict({"against": found}) == "better"
    assert verdict({"against": against({"cpu": worse}, _scored([[0, 1]] * 4))}) == "**worse**"
    assert verdict({"against": {"cpu": {"change": [0.1, -0.1, 0.3]}}}) == "equal"


def _row(name: str, runner: str, ms: list[float], change: float) -> dict[str, object]:
    return {
        "name": name, "runner": runner, "mean_iou": 58.349 + change, "change": [change, change - 0.1, change + 0.1],
        "boundary_change": [2 * change, None, None], "worst_class": {"name": "pole", "change": [3 * change, -1, 1]},
        "same_labels": [999, 1000], "bytes": 8_640_000, "samples_ms": ms,
    }  # fmt: skip


def test_the_tables_have_every_file_and_ours_next_to_each_other_tools():
    rows = [
        _row("FP32", "onnxruntime", [30, 10, 20], 0),
        _row("INT8, cpu", "onnxruntime", [4, 6], -0.25),
        _row("INT8, cpu", "openvino", [4], -0.25),
        _row("NNCF", "openvino", [10], -0.5)
        | {"against": {"cpu": {"change": [0.25, 0.1, 0.4]}, "tensorrt": {"change": [0, -0.1, 0.1]}}},
    ]
    first, _, *files = precision_table({"rows": rows}).splitlines()
    assert files[:4] == [
        "| FP32 | 58.35 |  |  |  |  | 8.6 | 20.0 |",
        "| INT8, cpu | 58.10 | -0.25 (-0.35 to -0.15) | -0.50 | pole -0.75 | 99.900 % | 8.6 | 5.00 |",
        "| INT8, cpu, in openvino | 58.10 | -0.25 (-0.35 to -0.15) | -0.50 | pole -0.75 | 99.900 % | 8.6 | 4.00 |",
        "| NNCF, in openvino | 57.85 | -0.50 (-0.60 to -0.40) | -1.00 | pole -1.50 | 99.900 % | 8.6 | 10.0 |",
    ]
    assert first.count("|") == files[0].count("|") == 9
    assert files[-1] == "| NNCF, in openvino | +0.25 (+0.10 to +0.40) | 0 (-0.10 to +0.10) | better | 2.50 |"


def test_an_older_record_is_in_points_against_the_first_row():
    common = {"boundary_change": [-0.5, None, None], "same_labels": [999, 1000], "bytes": 8_640_000}
    rows = [
        {**common, "name": "FP32", "mean_iou": 58.349, "change": [0, 0, 0]},
        {**common, "name": "int8", "mean_iou": 58.1, "change": [-0.249, -0.301, 0.02]},
    ]
    assert precision_table({"rows": rows}) == accuracy_table({"rows": rows})
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


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_fcn(tmp_path / "fcn.onnx")


def _copy(source: Path, path: Path) -> None:
    path.write_bytes(source.read_bytes())


@pytest.fixture
def other_tools(monkeypatch):
    """Files of tools that need not be installed here: each is the FP32 file itself."""
    monkeypatch.setattr(quantizers, "check_installed", lambda: None)
    made = lambda source, images, count: {name: lambda path: _copy(source, path) for name in quantizers.NAMES}  # noqa: E731
    monkeypatch.setattr(quantizers, "peers", made)


@pytest.mark.long
@pytest.mark.usefixtures("other_tools")
def test_every_file_is_scored_on_the_same_images_and_no_path_is_reported(data, source, tmp_path, monkeypatch):
    pytest.importorskip("openvino", reason="openvino is not installed")
    monkeypatch.setattr(quantization.ratio, "keep_to", lambda cores: None)
    rows, facts = measure(str(source), str(data), "", 1, "32x32", ["entropy"], 3, 0, 2, 1)
    assert [one["name"] for one in rows if one["runner"] == "onnxruntime"] == [
        "FP32",
        "FP16",
        "BF16",
        "FP8, tensorrt",
        "INT8, cpu",
        "INT8, cpu, equalised",
        "INT8, cpu, biases corrected",
        "INT8, cpu, equalised, biases corrected",
        "INT8, cpu, ranges by entropy",
        "INT8, tensorrt",
        "INT8, tensorrt, equalised",
        "INT8, tensorrt, biases corrected",
        "INT8, tensorrt, equalised, biases corrected",
        "INT8, tensorrt, ranges by entropy",
        "INT8+FP16, tensorrt",
        *quantizers.NAMES,
    ]
    assert [one["name"] for one in rows if one["runner"] == "openvino"] == ["FP32", OURS, "NNCF"]
    assert rows[0]["change"] == [0, 0, 0]
    assert all(np.sum(one["counts"]) == 3 * 34 * 46 for one in rows)
    assert rows[0]["same_labels"] == [3 * 34 * 46] * 2
    assert {len(one["samples_ms"]) for one in rows} == {2}
    found = {(one["name"], one["runner"]): one for one in rows}
    theirs = found["NNCF", "onnxruntime"]["against"]  # the FP32 file's labels: ours less it is our change
    assert theirs["cpu"]["change"] == found[OURS, "onnxruntime"]["change"]
    assert theirs["tensorrt"]["change"] == found["INT8, tensorrt", "onnxruntime"]["change"]
    assert facts["calibration_images"] == ["frames/0.png", "frames/1.png", "frames/2.png"]
    assert (facts["data"], facts["validation_images"], facts["images_in_both"]) == ("streets", 3, 1)
    assert facts["tuned"] is None
    assert str(tmp_path) not in str((rows, facts))


def test_files_are_timed_in_turn(source):
    found = time_files({("a", "onnxruntime"): source, ("b", "onnxruntime"): source}, images(1, (1, 34, 46))[0][0], 3, 1)
    assert {key: len(samples) for key, samples in found.items()} == {("a", "onnxruntime"): 3, ("b", "onnxruntime"): 3}


@pytest.mark.parametrize("name", quantizers.NAMES)
def test_other_tools_write_a_file_of_our_contract(name, source, tmp_path):
    for module in {quantizers.NNCF: ("nncf",), quantizers.SIMPLIFIED: ("onnxsim",)}.get(name, ()):
        pytest.importorskip(module, reason=f"{module} is not installed (extra peers)")
    arrays = [images(1, (1, 34, 46), seed=seed)[0] for seed in range(2)]
    path = tmp_path / "theirs.onnx"
    quantizers.peers(source, lambda: iter(arrays), 2)[name](path)
    kinds = [node.op_type for node in onnx.load(path).graph.node]
    assert "QuantizeLinear" in kinds or "QLinearConv" in kinds
    labels = open_cpu_session(path).run(["labels"], {"image": arrays[0]})[0]
    assert (labels == open_cpu_session(source).run(["labels"], {"image": arrays[0]})[0]).mean() > 0.8
    assert [file.name for file in tmp_path.iterdir() if "simplified" in file.name] == []


@pytest.mark.long
def test_a_short_training_gives_files_of_both_targets_with_and_without_8_bits(small_checkpoint, tmp_path):
    tuning = Tuning(small_checkpoint, "synthetic:4:0:33x47", 1, "32x48")
    found = tuned_files(tuning, DataOptions("synthetic:2:9:33x47", limit=2), tmp_path)
    assert list(found) == [
        "FP32, trained as long",
        "INT8, cpu, of that",
        "INT8, cpu, trained in INT8",
        "INT8, tensorrt, of that",
        "INT8, tensorrt, trained in INT8",
    ]
    assert [read_card(path).model for path in found.values()] == [read_card(found["FP32, trained as long"]).model] * 5
    kinds = [{node.op_type for node in onnx.load(path).graph.node} for path in found.values()]
    assert ["QuantizeLinear" in kind for kind in kinds] == [False, True, True, True, True]
