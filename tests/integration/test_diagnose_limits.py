"""`diagnose` with limits: it says of a file what `quantize` says, on the same images and by the same limits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from fcn_deploy.cli.commands.diagnose import command
from fcn_deploy.data.options import DataOptions
from fcn_deploy.diagnosis.diagnose import diagnose
from fcn_deploy.errors import UnknownNameError
from fcn_deploy.quantization.report import QuantizeReport
from fcn_deploy.quantization.search.options import SearchOptions
from tests.support.planted_channel import label_scenes, planted_fcn, quantize_all


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """fp32.onnx, one channel of which 8 bits cannot hold, and eight images with the labels that it gives them."""
    folder = tmp_path_factory.mktemp("judged")
    label_scenes(folder, planted_fcn(folder / "fp32.onnx"), 8)
    return folder


def _quantized(folder: Path, name: str, search: SearchOptions | None) -> QuantizeReport:
    return quantize_all(folder / "fp32.onnx", folder / name, str(folder / "photos"), search=search)


@pytest.mark.parametrize(
    ("limits", "verdicts"),
    [
        pytest.param(
            {"max_miou_drop": 60.0, "max_class_drop": {"car": 90.0}}, ["passed", "passed"], marks=pytest.mark.long
        ),
        ({"max_boundary_drop": 60.0, "max_class_drop": {"car": 7.4}}, ["passed", "broken"]),
    ],
)
def test_quantize_and_diagnose_say_the_same_sentences_of_all_in_int8(files, limits, verdicts):
    photos, maps = str(files / "photos"), str(files / "maps")
    searched = _quantized(files, "searched.onnx", SearchOptions(DataOptions(photos, maps), **limits)).search
    _quantized(files, "int8.onnx", None)
    common = {"data": DataOptions(photos, maps), "layer_images": 1, **limits}
    found = diagnose([files / "fp32.onnx", files / "int8.onnx"], **common)
    judged = found.steps[-1].judged
    assert [each.line for each in judged] == [each.line for each in searched.int8_judged]
    assert [each.verdict for each in judged] == verdicts
    assert (found.first_divergence is not None) == ("broken" in verdicts)
    assert bool(searched.kept) == ("broken" in verdicts)
    # What quantize wrote passes, and diagnose says so though labels and a layer are beyond their tolerances.
    written = diagnose([files / "fp32.onnx", files / "searched.onnx"], **common)
    assert [each.line for each in written.steps[-1].judged] == [each.line for each in searched.judged]
    assert written.verdict.startswith("no step breaks a limit: 1 step within ")


@pytest.mark.long
def test_what_breaks_no_limit_is_mentioned_as_a_difference_alone(files):
    _quantized(files, "int8.onnx", None)
    data = ("--data", files / "photos", "--labels", files / "maps", "--layer-images", 1)
    chain = [str(each) for each in (files / "fp32.onnx", files / "int8.onnx", *data)]
    result = CliRunner().invoke(command, [*chain, "--max-miou-drop", "60", "--json", str(files / "d.json")])
    assert result.exit_code == 0, result.output
    assert "int8.onnx: passed: mean IoU fell by " in result.output
    assert "int8.onnx differs: " in result.output
    assert "diverges" not in result.output
    assert json.loads((files / "d.json").read_text())["steps"][-1]["differences"][1].startswith("conv3 out of line")
    assert CliRunner().invoke(command, chain).exit_code == 3  # without a limit the tolerances decide


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--max-miou-drop", "1", "--tolerance", "int8.miou=1"),
            "--tolerance int8.miou has no effect next to ",
        ),
        (("--max-class-drop", "car=1", "--labels-from", "maps"), "--max-class-drop is not for --labels-from"),
        (("--max-class-drop", "car"), "'car' is not CLASS=POINTS; write pole=1"),
        (("--max-boundary-drop", "-1"), "'-1' is not a number of points"),
    ],
)
def test_limits_that_go_with_nothing_else_are_usage_errors(files, words, message):
    data = ("--data", str(files / "photos"), "--labels", str(files / "maps"))
    result = CliRunner().invoke(command, [str(files / "fp32.onnx"), *data, *words])
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_a_limit_on_an_unknown_class_is_refused_and_images_without_labels_are_not_judged(files):
    stages = [files / "fp32.onnx", files / "fp32.onnx"]
    with pytest.raises(UnknownNameError, match="unknown class 'cat'; did you mean car"):
        diagnose(stages, str(files / "photos"), max_class_drop={"cat": 1})
    found = diagnose(stages, str(files / "photos"), max_miou_drop=1, layer_images=1)
    assert [each.sentence for each in found.steps[-1].judged] == [
        "mean IoU: the images have no label maps; at most 1 are allowed"
    ]
    assert "not every limit was judged of " in found.verdict
