"""The options of the search for layers to leave in float."""

from __future__ import annotations

from click.testing import CliRunner

from fcn_deploy.cli.main import cli
from fcn_deploy.errors import FcnDeployError


def test_how_label_maps_are_read_applies_to_the_set_of_the_search_without_calibration_images(monkeypatch):
    calls = []

    def called(*arguments, **given):
        calls.append(given)
        raise FcnDeployError("called")

    monkeypatch.setattr("fcn_deploy.quantization.quantize.quantize", called)
    words = "quantize m.onnx -o h.onnx --precision fp16 --max-miou-drop 1 --data imgs --data-labels masks"
    labels = "--classes background,polyp --label-values 0,255 --label-suffix _mask --bad-images skip"
    result = CliRunner().invoke(cli, [*words.split(), *labels.split()])
    assert str(result.exception) == "called", result.output
    (given,) = calls
    data = given["search"].data
    assert given["calibration"] is None
    assert given["search"].budget.words == "--max-miou-drop 1"
    assert (data.source, data.labels, data.on_error) == ("imgs", "masks", "skip")
    assert (data.classes, data.label_values, data.label_suffix) == (("background", "polyp"), (0, 255), "_mask")
