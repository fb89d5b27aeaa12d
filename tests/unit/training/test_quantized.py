"""Training in INT8 arithmetic, from a trained network to its Q/DQ file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from fcn_deploy.contract import Contract
from fcn_deploy.data.synthetic.dataset import open_source
from fcn_deploy.errors import FcnDeployError, RecipeError, TrainingError
from fcn_deploy.graph.load import load_graph
from fcn_deploy.models.checkpoints import load_checkpoint
from fcn_deploy.quantization.plan import QuantizationPlan
from fcn_deploy.training import run as run_module
from fcn_deploy.training.loop import run_training, train
from fcn_deploy.training.quantized import INT8_FILE, PLAN, quantise
from tests.support.bench_model import save_small_model
from tests.support.recorded_progress import RecordedProgress
from tests.support.training_runs import killed_at, same_tensors

CALIBRATION = "synthetic:3:9:33x47"
DATA = {"data": "synthetic:4:0:33x47", "val": "synthetic:2:1:37x41", "device": "cpu", "crop": (32, 48), "batch": 2}


def recipe(path: Path, *lines: str, calibration: str = f'calibration = "{CALIBRATION}"') -> Path:
    path.write_text("\n".join((calibration, *lines)) + "\n")
    return path


@pytest.fixture(scope="module", params=["cpu", "tensorrt"])
def run(request, small_checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    lines = (f'target = "{request.param}"', "quantize_scores = true")
    progress = RecordedProgress()
    result = train(
        **DATA, init=small_checkpoint, quantize=recipe(folder / "int8.toml", *lines), epochs=1, lr=0.01,
        output=folder / "run", progress=progress,
    )  # fmt: skip
    return result, progress


def test_the_file_gives_the_labels_of_the_network_that_was_trained(run):
    result, _ = run
    network, card = load_checkpoint(result.best)
    plan = QuantizationPlan.load(result.config.output / PLAN)
    quantise(network, plan)
    trained, options = Contract(network, card).eval(), onnxruntime.SessionOptions()
    # As the file says: ONNX Runtime's own rewrites would round the biases of the target tensorrt to 32-bit integers.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session, differ = onnxruntime.InferenceSession(str(result.int8), options), 0
    for index in range(3):
        image = open_source("synthetic:3:5:41x57")[index].image[None]
        with torch.inference_mode():
            ours = trained(torch.from_numpy(image)).numpy()
        differ += int(np.count_nonzero(ours != session.run(None, {session.get_inputs()[0].name: image})[0]))
    assert differ <= 7  # a thousandth: values at the border of two codes are rounded by sums in another order


def test_the_scales_of_the_file_are_those_of_the_calibration(run):
    result, _ = run
    plan = QuantizationPlan.load(result.config.output / PLAN)
    constants = load_graph(result.int8).graph.initializers
    for name, (low, high) in plan.ranges.items():
        levels = 255 if plan.recipe.target == "cpu" else 127
        scale = (high - min(low, 0)) / levels if plan.recipe.target == "cpu" else max(-low, high) / levels
        assert float(constants[f"{name}/scale"].const_value.numpy()) == pytest.approx(scale)


def test_a_run_says_what_int8_scores_before_and_keeps_the_network_of_its_start(run):
    result, progress = run
    assert any(line.startswith("INT8 without training: mIoU ") for line in progress.lines)
    assert (result.config.model, result.config.options["head"], result.config.epochs) == ("fcn8s", "pool5", 1)
    assert result.to_plain()["int8"] == str(result.config.output / INT8_FILE)


def test_a_finished_run_without_its_file_writes_it_again(run):
    result, _ = run
    before = result.int8.read_bytes()
    result.int8.unlink()
    again = train(output=result.config.output, start="resume")
    assert again.int8.read_bytes() == before


def test_a_killed_run_goes_on_with_the_same_ranges_to_the_same_bits(run, tmp_path, monkeypatch):
    result, _ = run
    monkeypatch.setattr(run_module, "_SAVING_SHARE", 0)
    config = replace(result.config, output=tmp_path / "run", save_seconds=0.0)
    killed_at(1, config)
    assert not (config.output / INT8_FILE).exists()
    resumed = run_training(config, start="resume")
    assert resumed.resumed
    assert (config.output / PLAN).read_bytes() == (result.config.output / PLAN).read_bytes()
    assert same_tensors(resumed.last, result.last)


def test_what_cannot_be_tuned_is_refused_in_a_line_and_leaves_no_folder(small_checkpoint, small_onnx, tmp_path):
    int8, two = recipe(tmp_path / "int8.toml"), save_small_model(tmp_path / "two.safetensors", ("road", "car"))

    def refused(error: type[FcnDeployError], words: str, quantize: Path = int8, **given: object) -> None:
        settings = {"init": small_checkpoint, **DATA, **given}
        with pytest.raises(error, match=words):
            train(**settings, quantize=quantize, output=tmp_path / "run")
        assert not (tmp_path / "run").exists()

    refused(TrainingError, "--quantize tunes a trained network; give its checkpoint", init=None)
    refused(TrainingError, "and .*small.onnx is none; give the checkpoint that it was exported from", init=small_onnx)
    refused(TrainingError, r"lacks score_fr.* of this fcn8s", init=two)
    refused(
        RecipeError, 'precision is fp16; training with --quantize is for "int8" alone',
        recipe(tmp_path / "fp16.toml", 'precision = "fp16"'),
    )  # fmt: skip
    refused(RecipeError, "names no calibration images", recipe(tmp_path / "none.toml", calibration=""))
    refused(RecipeError, "unknown key", recipe(tmp_path / "typo.toml", 'methode = "mse"'))
    refused(RecipeError, "cannot read the quantization recipe", tmp_path / "missing.toml")
