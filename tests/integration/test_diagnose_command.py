"""`fcn-deploy diagnose` on the bundled model: healthy chains are let be, planted faults are named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from fcn_deploy.cli.commands.diagnose import command
from fcn_deploy.data.options import DataOptions
from fcn_deploy.data.synthetic.dataset import SYNTHETIC_CLASSES
from fcn_deploy.errors import FcnDeployError, GraphError, UnknownNameError
from fcn_deploy.model_file import file_of
from fcn_deploy.models.checkpoints import save_model
from fcn_deploy.models.network import load_network
from fcn_deploy.models.registry import build, new_card
from fcn_deploy.onnx_export.export import export_model
from fcn_deploy.quantization.quantize import quantize
from tests.support.fakes.tensorrt_module import plan_header
from tests.support.planted_faults import with_constants, with_swapped_channels

DATA = ("--data", "synthetic:3:5:96x128", "--layer-images", "2")
CALIBRATION = DataOptions("synthetic:6:1:96x128", split="train")
FORMS = {
    "fp16": {"precision": "fp16"},
    "int8": {"precision": "int8"},
    "int8+fp16": {"precision": "int8+fp16"},
    "cpu": {"precision": "int8", "target": "cpu"},
}


def _run(*arguments: object) -> Result:
    """Run the command; an expected error is raised as the command line's entry point receives it."""
    result = CliRunner().invoke(command, [str(argument) for argument in (*arguments, *DATA)])
    if isinstance(result.exception, FcnDeployError):
        raise result.exception
    return result


def _diagnosis(*arguments: object) -> dict:
    result = _run(*arguments, "--json", "-")
    found = json.loads(result.stdout)
    assert result.exit_code == (0 if found["first_step"] is None else 3)
    return found


def _rewritten(source: Path, folder: Path) -> dict[str, Path]:
    files = {"fp32": source}
    for form, options in FORMS.items():
        files[form] = folder / f"{source.stem}.{form}.onnx"
        quantize(source, files[form], calibration=CALIBRATION, **options)
    return files


@pytest.fixture(scope="module")
def demo(demo_onnx: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Form -> file, all made from the bundled checkpoint."""
    return _rewritten(demo_onnx, tmp_path_factory.mktemp("demo"))


def test_a_healthy_chain_of_every_form_diverges_nowhere(demo):
    result = _run("demo", *demo.values())
    assert result.exit_code == 0, result.output
    assert "no step diverges: 5 steps within the tolerances" in result.output
    assert "out of line" not in result.output


def test_a_single_fp32_file_is_two_stages_and_every_layer_agrees_to_rounding(demo):
    found = _diagnosis(demo["fp32"])
    first, second = found["steps"]
    assert (first["name"], second["name"]) == ("PyTorch of demo.onnx", "demo.onnx")
    assert second["layers_against"] == "PyTorch of demo.onnx"
    names = [layer["name"] for layer in second["layers"]]
    assert names[:2] == ["contract/to_nchw", "contract/subtract_mean"]
    assert {"backbone.stage1.conv1", "backbone.stage5.pool", "score_fr", "upscore8"} < set(names)
    assert max(layer["error"] for layer in second["layers"]) < 1e-5  # FP32 sums in another order


@pytest.mark.parametrize(
    ("form", "tensor", "layer"),
    [
        ("int8", "backbone.stage1.relu1", "backbone.stage1.conv2"),
        ("int8+fp16", "backbone.stage3.pool", "backbone.stage4.conv1"),
        ("cpu", "backbone.stage5.relu2", "backbone.stage5.conv3"),
    ],
)
def test_a_scale_ten_times_too_small_is_named_by_stage_and_layer(demo, tmp_path, form, tensor, layer):
    scale = f"{tensor}/scale"
    bad = with_constants(demo[form], tmp_path / "bad.onnx", {scale: lambda value: value * 0.1})
    found = _diagnosis(demo["fp32"], demo["fp16"], bad)
    assert (found["first_step"], found["first_layer"]) == ("bad.onnx", layer)
    assert f"the scale of its input {tensor} covers" in found["causes"][0]
    assert [step["diverges"] for step in found["steps"]] == [False, False, False, True]


def test_a_scale_ten_times_too_large_is_out_of_line_among_the_other_layers(demo, tmp_path):
    coarse = {"backbone.stage4.relu1/scale": lambda value: value * 10}
    bad = with_constants(demo["int8"], tmp_path / "bad.onnx", coarse)
    found = _diagnosis(demo["fp32"], bad)
    assert (found["first_step"], found["first_layer"]) == ("bad.onnx", "backbone.stage4.conv2")
    assert "the scale of its input backbone.stage4.relu1 covers" in found["causes"][0]
    (layer,) = [layer for layer in found["steps"][-1]["layers"] if layer["out_of_line"]]
    assert 4 * layer["median"] < layer["error"] < layer["bound"]


def test_weights_spoiled_in_the_fp16_stage_alone_are_named_there_and_int8_behind_it_is_let_be(demo, tmp_path):
    halve = {"backbone.stage4.conv2.weight": lambda value: value * 0.5}
    bad = with_constants(demo["fp16"], tmp_path / "bad.onnx", halve)
    found = _diagnosis(demo["fp32"], bad, demo["int8"])
    assert (found["first_step"], found["first_layer"]) == ("bad.onnx", "backbone.stage4.conv2")
    assert found["causes"] == ["its weights are 0.5 times those before"]
    assert [step["diverges"] for step in found["steps"]] == [False, False, True, False]


def test_a_mean_left_out_of_the_export_is_named_as_normalisation(demo, tmp_path):
    bad = with_constants(demo["fp32"], tmp_path / "bad.onnx", {"contract/mean": np.zeros_like})
    result = _run("demo", bad, demo["int8"])
    assert result.exit_code == 3
    text = " ".join(result.output.split())
    assert "first step that diverges: bad.onnx; first layer: contract/subtract_mean (the normalisation): it" in text
    assert "subtracts the mean 0, 0, 0, before it was 123.7, 116.3, 103.5" in text
    (row,) = [line for line in result.output.splitlines() if line.startswith("demo.int8.onnx  int8")]
    assert row.split()[-1] == "ok"  # it was not made from the faulty file


@pytest.mark.parametrize("form", ["fp32", "int8"])
def test_a_swapped_channel_order_is_named_as_normalisation(demo, tmp_path, form):
    found = _diagnosis(
        "demo", *(() if form == "fp32" else (demo["fp32"],)), with_swapped_channels(demo[form], tmp_path / "bad.onnx")
    )
    assert (found["first_step"], found["first_layer"]) == ("bad.onnx", "contract/subtract_mean")
    assert found["causes"] == ["its channels are BGR, before they were RGB"]


def test_first_weights_in_the_order_of_bgr_are_named_at_the_first_convolution(demo, tmp_path):
    swap = {"backbone.stage1.conv1.weight": lambda value: value[:, ::-1]}
    found = _diagnosis("demo", with_constants(demo["fp32"], tmp_path / "bad.onnx", swap))
    assert (found["first_step"], found["first_layer"]) == ("bad.onnx", "backbone.stage1.conv1")
    assert found["causes"] == ["its weights are in the reverse order of the input channels"]


def test_a_checkpoint_of_another_training_run_is_reported_at_the_first_layer(demo, tmp_path):
    network, card = load_network(file_of("demo"))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * parameter.std() * torch.randn(parameter.shape, generator=torch.manual_seed(0))
    save_model(tmp_path / "other.safetensors", network, card)
    found = _diagnosis(tmp_path / "other.safetensors", demo["fp32"], demo["int8"])
    assert (found["first_step"], found["first_layer"]) == ("demo.onnx", "backbone.stage1.conv1")
    assert "its weights are others" in found["causes"][0]
    assert [step["diverges"] for step in found["steps"]][:2] == [False, True]


@pytest.mark.long
def test_a_resnet_with_folded_batch_norms_has_no_layer_out_of_line_and_a_fault_in_it_is_named(tmp_path):
    torch.manual_seed(0)
    card = new_card("fcn-resnet50", SYNTHETIC_CLASSES, width=0.05)
    network = build(card)
    for name, value in network.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2)
    export_model(network.eval(), card, tmp_path / "resnet.onnx")
    files = _rewritten(tmp_path / "resnet.onnx", tmp_path)
    # The labels of an untrained network hang by a thread; its layers do not.
    found = _diagnosis(*files.values(), "--tolerance", "int8.labels=30", "--tolerance", "fp16.labels=5")
    assert found["first_step"] is None
    assert "backbone.layer1.0.conv1" in [layer["name"] for layer in found["steps"][3]["layers"]]
    spoiled = {"backbone.layer2.0.conv3.weight/scale": lambda value: value * 0.1}
    bad = with_constants(files["int8"], tmp_path / "bad.onnx", spoiled)
    found = _diagnosis(files["fp32"], bad, "--tolerance", "int8.labels=100")
    assert (found["first_step"], found["first_layer"]) == ("bad.onnx", "backbone.layer2.0.conv3")
    assert found["causes"] == ["its weights are 0.1 times those before"]


def test_an_engine_that_does_not_run_here_is_left_out_with_its_reason(demo, tmp_path):
    (tmp_path / "demo.engine").write_bytes(plan_header("tensorrt", 40))
    found = _diagnosis(demo["fp32"], tmp_path / "demo.engine")
    assert [step["status"] for step in found["steps"]] == ["ok", "ok", "skipped"]
    assert found["steps"][2]["reason"]
    assert found["first_step"] is None
    result = _run(demo["fp32"], tmp_path / "demo.engine")
    assert "demo.engine skipped: " in result.output


def test_images_without_labels_leave_agreement_and_layers(demo, tmp_path):
    from PIL import Image

    for index in range(2):
        noise = np.random.default_rng(index).integers(0, 255, (33, 47, 3)).astype(np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{index}.png")
    result = CliRunner().invoke(command, [str(demo["fp32"]), "--data", str(tmp_path), "--json", "-"])
    found = json.loads(result.stdout)
    assert (found["images"], found["labelled"], found["layer_images"]) == (2, 0, 2)
    assert found["steps"][1]["before"]["iou"] is None
    assert found["steps"][1]["before"]["agreed"] == [2 * 33 * 47] * 2


def test_one_image_has_no_interval_and_says_so(demo):
    result = _run(demo["fp32"], demo["int8"], "--max-images", 1)
    assert "One labelled image has no interval." in " ".join(result.output.split())
    assert " to +" not in result.output


def test_limits_can_be_changed_and_a_mistyped_one_is_rejected(demo):
    found = _diagnosis(demo["fp32"], demo["int8"], "--tolerance", "int8.labels=0", "--tolerance", "int8.miou=50")
    assert found["tolerances"]["int8"] == {"labels": 0, "miou": 50, "layer": 0.2}
    assert found["first_step"] == "demo.int8.onnx"
    assert found["first_layer"] is None
    assert "no layer alone is out of line; the largest error is" in found["verdict"]
    with pytest.raises(UnknownNameError, match="unknown limit 'label'; did you mean labels"):
        _run(demo["fp32"], "--tolerance", "int8.label=1")
    for slip in ("int8.labels", "labels=1", "int8.labels=-1", "int8.labels=nan"):
        result = _run(demo["fp32"], "--tolerance", slip)
        assert result.exit_code == 2
        assert "is not of the form TYPE.LIMIT=VALUE" in result.output


def test_stages_that_cannot_be_compared_are_refused(demo, tmp_path):
    with pytest.raises(GraphError, match="is one stage alone"):
        _run(demo["int8"])
    with pytest.raises(GraphError, match="does not exist"):
        _run(demo["fp32"], tmp_path / "nowhere.onnx")
    with pytest.raises(FcnDeployError, match="does not exist"):
        _run(demo["fp32"], tmp_path / "nowhere.engine")
