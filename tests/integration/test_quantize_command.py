"""`fcn-deploy quantize` as a user calls it, and what the other commands say of its files."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from fcn_deploy.cli.commands.bench import command as bench_command
from fcn_deploy.cli.commands.evaluate import command as evaluate_command
from fcn_deploy.cli.commands.quantize import command
from fcn_deploy.errors import DataError, FcnDeployError, GraphError, OutputError
from fcn_deploy.graph.load import PRECISION_KEY, read_card
from fcn_deploy.quantization.quantize import quantize
from fcn_deploy.quantization.rewrites.half_type import READS_OVERFLOW
from tests.support.small_fcn import images, small_weights, write_fcn, write_foreign, write_host_normalised


def _call(called: object, *arguments: object) -> Result:
    """Run a command; an expected error is raised as the command line's entry point receives it."""
    result = CliRunner().invoke(called, [str(argument) for argument in arguments])  # type: ignore[arg-type]
    if isinstance(result.exception, FcnDeployError):
        raise result.exception
    return result


def _quantize(*arguments: object) -> Result:
    return _call(command, *arguments)


@pytest.fixture
def fcn(tmp_path: Path) -> Path:
    return write_fcn(tmp_path / "fcn.onnx")


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Seven images of two sizes and label maps of the first and last class next to them."""
    for folder in ("photos", "maps"):
        (tmp_path / folder).mkdir()
    for index in range(7):
        image = images(1, (1, 34, 46 + 2 * (index % 2)), seed=index)[0][0]
        Image.fromarray(image).save(tmp_path / "photos" / f"{index}.png")
        label = np.where(np.arange(image.shape[1]) < 20, 0, 2).astype(np.uint8)
        Image.fromarray(np.repeat(label[None], 34, axis=0)).save(tmp_path / "maps" / f"{index}.png")
    (tmp_path / "classes.txt").write_text("road\ncar\nsky\n")
    return tmp_path / "photos"


def test_int8_reports_its_images_ranges_and_kept_layers(fcn, photographs, tmp_path):
    out = tmp_path / "q.onnx"
    result = _quantize(
        fcn, "--precision", "int8", "--calib", photographs, "--calib-labels", tmp_path / "maps", "-o", out
    )
    assert result.exit_code == 0, result.output
    assert "calibrated with 7 images that show 2 of 3 classes (without: car)" in result.output
    assert "INT8 for tensorrt, ranges by mse" in result.output
    assert "conv1 (first layer), score_fr (score layer), score_pool (score layer)" in result.output
    assert "labels as in FP32 at" in result.output
    model = onnx.load(out)
    onnx.checker.check_model(model, full_check=True)
    assert {p.key: p.value for p in model.metadata_props}[PRECISION_KEY] == "int8"
    assert read_card(out).notes["precision"].startswith("int8, target tensorrt, mse, calibrated with ")


@pytest.mark.parametrize("method", ["minmax", "percentile", "entropy", "mse"])
def test_every_method_and_target_writes_json_that_adds_up(fcn, photographs, tmp_path, method):
    common = (fcn, "--precision", "int8", "--calib", photographs, "--method", method, "--max-images", 3, "--json", "-")
    for target in ("tensorrt", "cpu"):
        result = _quantize(*common, "--target", target, "-o", tmp_path / "q.onnx")
        report = json.loads(result.output)
        assert [Path(name).name for name in report["images"]] == ["0.png", "2.png", "4.png"]
        agreed, pixels = report["agreed"]
        assert pixels == 3 * 34 * 46
        assert agreed > 0.9 * pixels
        assert all(0 <= tensor["clipped"] < 0.05 for tensor in report["tensors"].values())
        assert report["bytes_after"] == (tmp_path / "q.onnx").stat().st_size


def test_the_same_call_writes_the_same_bytes(fcn, photographs, tmp_path):
    for name in ("a.onnx", "b.onnx"):
        _quantize(fcn, "--precision", "int8", "--calib", photographs, "-o", tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_fp16_without_images_says_what_was_not_checked(fcn, tmp_path):
    result = _quantize(fcn, "--precision", "fp16", "-o", tmp_path / "h.onnx")
    assert "no calibration images (--calib): overflow of activations and labels were not checked" in result.output
    assert (tmp_path / "h.onnx").is_file()


@pytest.mark.parametrize("precision", ["fp16", "int8+fp16"])
def test_fp16_with_images_keeps_what_overflows_and_names_it(photographs, tmp_path, precision):
    weights = small_weights()
    weights["conv1.weight"] *= 60000
    weights["conv2.weight"] /= 60000
    weights["score_pool.weight"] /= 60000
    path = write_fcn(tmp_path / "large.onnx", weights)
    result = _quantize(path, "--precision", precision, "--calib", photographs, "-o", tmp_path / "h.onnx", "--json", "-")
    report = json.loads(result.output)
    assert report["kept_from_fp16"]["conv1"].startswith("activation beyond FP16")
    assert report["kept_from_fp16"]["score_pool"] == report["kept_from_fp16"]["conv2"] == READS_OVERFLOW
    assert "conv3" in report["fp16_nodes"]
    assert report["largest_activation"][1] > 65504


def test_int8_with_fp16_runs(fcn, photographs, tmp_path):
    result = _quantize(fcn, "--precision", "int8+fp16", "--calib", photographs, "-o", tmp_path / "m.onnx")
    assert result.exit_code == 0, result.output
    assert "FP16: " in result.output


@pytest.mark.parametrize("form", ["--target cpu --quantize-first", "--quantize-first"])
def test_a_first_layer_that_reads_the_image_itself_is_quantised(photographs, tmp_path, form):
    """A file with a float input, normalised on the host: no node makes the tensor that is measured."""
    path, out = write_host_normalised(tmp_path / "float.onnx"), tmp_path / "out.onnx"
    search = ("--data", photographs, "--data-labels", tmp_path / "maps", "--max-miou-drop", 100)
    result = _quantize(
        path, "--precision", "int8", *form.split(), "--calib", photographs, *search, "-o", out, "--json", "-"
    )
    report = json.loads(result.stdout)
    assert "image" in report["tensors"]
    assert "conv1" not in report["kept_from_int8"]
    assert report["agreed"][0] > 0.95 * report["agreed"][1]


@pytest.mark.parametrize("form", ["fp16", "int8", "int8+fp16", "int8 --target cpu"])
def test_a_file_of_another_tool_without_names_and_with_constants_as_nodes_is_rewritten(photographs, tmp_path, form):
    path, out = write_foreign(tmp_path / "foreign.onnx"), tmp_path / "out.onnx"
    report = json.loads(
        _quantize(path, "--precision", *form.split(), "--calib", photographs, "-o", out, "--json", "-").output
    )
    agreed, pixels = report["agreed"]
    assert agreed > 0.95 * pixels  # random weights, near the ties of which 8 bits decide otherwise
    assert set(report["kept_from_int8"]) == ({"conv1", "score_fr", "score_pool"} if "int8" in form else set())


def test_int8_without_images_is_refused(fcn, tmp_path):
    with pytest.raises(DataError, match="INT8 needs images to measure activations with"):
        _quantize(fcn, "--precision", "int8", "-o", tmp_path / "q.onnx")


def test_label_maps_in_place_of_images_are_refused_and_nothing_is_written(fcn, photographs, tmp_path):
    out = tmp_path / "out" / "q.onnx"
    with pytest.raises(DataError, match=r"0\.png has 2 colours in all, as a label map has"):
        _quantize(fcn, "--precision", "int8", "--calib", tmp_path / "maps", "-o", out)
    assert not out.parent.exists()


def test_labels_of_other_classes_are_left_aside_and_images_alone_may_be_any(fcn, photographs, tmp_path):
    (tmp_path / "classes.txt").write_text("cat\ndog\nsky\n")
    common = (fcn, "--precision", "int8", "--calib", photographs, "-o", tmp_path / "q.onnx")
    assert _quantize(*common).exit_code == 0
    for calib, words in (
        ((photographs, "--calib-labels", tmp_path / "maps"), "class 0 is 'road' for the model and 'cat'"),
        (("synthetic:2",), "the model has 3 classes"),
    ):
        result = _quantize(fcn, "--precision", "int8", "--calib", *calib, "-o", tmp_path / "q.onnx")
        assert result.exit_code == 0
        assert f"are used without their labels: {words}" in result.output


def test_a_quantised_file_is_refused(fcn, photographs, tmp_path):
    _quantize(fcn, "--precision", "int8", "--calib", photographs, "-o", tmp_path / "q.onnx")
    with pytest.raises(GraphError, match="quantised already"):
        _quantize(tmp_path / "q.onnx", "--precision", "fp16", "-o", tmp_path / "h.onnx")


def test_the_fp32_file_is_not_written_over(fcn, photographs, tmp_path):
    before = fcn.read_bytes()
    (tmp_path / "link.onnx").symlink_to(fcn)
    for out in (fcn, tmp_path / "link.onnx"):
        with pytest.raises(OutputError, match="is the FP32 file itself, which would be lost"):
            _quantize(fcn, "--precision", "int8", "--calib", photographs, "-o", out)
    assert fcn.read_bytes() == before


def test_fp16_for_the_cpu_target_is_refused(fcn, photographs, tmp_path):
    with pytest.raises(GraphError, match="the cpu target has no FP16"):
        _quantize(fcn, "--precision", "int8+fp16", "--target", "cpu", "--calib", photographs, "-o", tmp_path / "q.onnx")


def test_a_folder_that_cannot_be_written_is_reported_before_the_work(fcn, photographs):
    with pytest.raises(OutputError, match="cannot write"):
        _quantize(fcn, "--precision", "int8", "--calib", photographs, "-o", "/proc/nowhere/q.onnx")


@pytest.mark.parametrize("precision", ["fp16", "int8", "int8+fp16"])
def test_tensorrt_for_rtx_parses_every_precision(fcn, photographs, tmp_path, precision):
    pytest.importorskip("tensorrt_rtx", reason="tensorrt_rtx is not installed")
    from fcn_deploy.engine.builder.parse import parser_findings

    _quantize(fcn, "--precision", precision, "--calib", photographs, "-o", tmp_path / "q.onnx")
    assert parser_findings(tmp_path / "q.onnx") == ()


class _PressingCtrlC:
    """Progress that presses Ctrl-C after the second step of a task."""

    def __init__(self, pressed_in: str) -> None:
        self.pressed_in, self.description, self.steps = pressed_in, "", 0

    @contextmanager
    def task(self, description: str, total: int | None) -> Iterator[_PressingCtrlC]:
        self.description = description
        yield self

    def advance(self, steps: float = 1, note: str = "") -> None:
        self.steps += self.description == self.pressed_in
        if self.steps == 2:
            os.kill(os.getpid(), signal.SIGINT)

    def say(self, line: str) -> None: ...


@pytest.mark.parametrize("task", ["reading calibration images", "calibrating"])
def test_ctrl_c_while_calibrating_stops_at_the_next_image_and_leaves_nothing(fcn, photographs, tmp_path, task):
    progress, out = _PressingCtrlC(task), tmp_path / "out" / "q.onnx"
    with pytest.raises(KeyboardInterrupt):
        quantize(
            fcn,
            out,
            precision="int8",
            calibration=photographs,
            calibration_cache=out.with_name("c"),
            progress=progress,
        )
    assert progress.steps == 2
    assert not out.parent.exists()


def test_other_commands_run_the_file_and_say_why_pytorch_cannot(fcn, photographs, tmp_path):
    out, data = tmp_path / "q.onnx", ("--data", photographs, "--labels", tmp_path / "maps")
    _quantize(fcn, "--precision", "int8", "--calib", photographs, "-o", out)
    assert _call(evaluate_command, out, *data).exit_code == 0
    quick = ("--iterations", 3, "--seconds", 0, "--warmup", 0, "--no-memory", "--json", "-")
    result = _call(bench_command, out, *data, "--runners", "pytorch,onnxruntime", *quick)
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert [row["status"] for row in record["rows"]] == ["skipped", "ok"]
    assert "was rewritten to int8 and no longer holds its FP32 weights" in record["rows"][0]["reason"]
    assert record["reference_reason"].startswith("compared with fcn.onnx, from which q.onnx was made")
