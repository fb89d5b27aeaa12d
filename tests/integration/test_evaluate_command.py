"""`fcn-deploy evaluate` from its command line to its tables, on a small saved model."""

from __future__ import annotations

import hashlib
import json
import shutil

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from fcn_deploy.contract import Contract
from fcn_deploy.data.synthetic.dataset import SYNTHETIC_CLASSES, open_source
from fcn_deploy.errors import CheckpointError, DataError, RunnerError
from fcn_deploy.models.network import load_network
from tests.support.bench_model import invoke
from tests.support.reference_nets import caffe_state

DATA = "synthetic:3:5:33x47"


def figures(*arguments: str) -> dict:
    return json.loads(invoke("evaluate", *arguments, "--json", "-").stdout)


def test_pixel_accuracy_is_the_share_of_right_pixels(small_checkpoint):
    found = figures(str(small_checkpoint), "--data", DATA)
    model, card = load_network(small_checkpoint)
    network, right = Contract(model, card), 0
    for index in range(3):
        sample = open_source(DATA)[index]
        with torch.inference_mode():
            right += int((network(torch.from_numpy(sample.image[None]))[0].numpy() == sample.label).sum())
    assert found["overall"]["pixel_accuracy"] == pytest.approx(right / (3 * 33 * 47))
    assert (found["runner"], found["images"]) == ("pytorch", 3)
    assert found["boundary"]["pixels"] + found["interior"]["pixels"] == found["overall"]["pixels"] == 3 * 33 * 47


def test_the_page_is_written_next_to_the_json_and_needs_a_file_of_its_own(small_onnx, tmp_path):
    page, figures_path = tmp_path / "accuracy.html", tmp_path / "accuracy.json"
    arguments = ("evaluate", str(small_onnx), "--data", DATA, "--json", str(figures_path))
    assert invoke(*arguments, "--html", str(page)).exit_code == 0
    found = json.loads(figures_path.read_text())
    assert np.sum(found["confusion"]) == found["overall"]["pixels"]
    assert 0 <= found["boundary_iou"]["mean"] <= 1
    assert "Confusion matrix" in page.read_text()
    for wrong, words in ((str(figures_path), "name the same one"), ("-", "--html needs a file")):
        refused = invoke(*arguments, "--html", wrong)
        assert (refused.exit_code, words in refused.output) == (2, True)


def test_an_onnx_file_scores_as_its_checkpoint_does(small_checkpoint, small_onnx):
    own, other = figures(str(small_checkpoint), "--data", DATA), figures(str(small_onnx), "--data", DATA)
    assert other["runner"] == "onnxruntime"
    # rounding may flip a pixel whose two best logits are equal to 1e-4; one pixel in 4653 is 0.0002
    assert other["overall"]["pixel_accuracy"] == pytest.approx(own["overall"]["pixel_accuracy"], abs=1e-3)
    by_pytorch = figures(str(small_onnx), "--data", DATA, "--runner", "pytorch")
    assert by_pytorch["overall"] == own["overall"]


def test_a_recipe_is_recorded_by_its_checkpoint(small_checkpoint, tmp_path):
    recipe = tmp_path / "net.toml"
    recipe.write_text('name = "n"\ncheckpoint = "small.safetensors"\nurl = "https://example.org/n"\nmodel = "fcn8s"\n')
    shutil.copy(small_checkpoint, tmp_path)
    found = figures(str(recipe), "--data", DATA)
    assert found["sha256"] == hashlib.sha256(small_checkpoint.read_bytes()).hexdigest()
    assert found["model"] == small_checkpoint.name


def test_the_model_is_named_where_the_keys_leave_a_choice(tmp_path):
    torch.manual_seed(2)
    path = tmp_path / "net.pth"
    torch.save(caffe_state("fcn8s-caffe", classes=8), path)
    with pytest.raises(CheckpointError, match="may be fcn8s-caffe or fcn8s-atonce-caffe"):
        invoke("evaluate", str(path), "--data", DATA)
    usual = invoke("evaluate", str(path), "--data", DATA, "--model", "fcn8s-caffe", "--json", "-")
    at_once = invoke("evaluate", str(path), "--data", DATA, "--model", "fcn8s-atonce-caffe", "--json", "-")
    # it scales its pools, so these weights give other labels
    assert json.loads(at_once.stdout)["overall"] != json.loads(usual.stdout)["overall"]


def test_the_table_has_four_metrics_and_every_class(small_checkpoint, tmp_path):
    result = invoke("evaluate", str(small_checkpoint), "--data", DATA, "--json", str(tmp_path / "a.json"))
    assert result.exit_code == 0
    for name in ("pixel accuracy", "mean accuracy", "mean IoU", "frequency weighted IoU", *SYNTHETIC_CLASSES):
        assert name in result.stdout
    assert json.loads((tmp_path / "a.json").read_text())["radius"] == 3


def test_a_wider_boundary_has_more_pixels(small_checkpoint):
    thin = figures(str(small_checkpoint), "--data", DATA, "--radius", "1")
    wide = figures(str(small_checkpoint), "--data", DATA, "--radius", "5")
    assert thin["boundary"]["pixels"] < wide["boundary"]["pixels"]
    assert thin["overall"] == wide["overall"]


def test_a_provider_that_cannot_start_is_one_error(small_onnx):
    if torch.cuda.is_available() or "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("needs an onnxruntime built with CUDA on a machine without a GPU")
    with pytest.raises(RunnerError, match="CUDAExecutionProvider did not start") as caught:
        invoke("evaluate", str(small_onnx), "--data", DATA, "--runner", "onnxruntime:cuda")
    assert "\n" not in str(caught.value)


def test_images_without_labels_cannot_be_scored(small_checkpoint, tmp_path):
    Image.fromarray(np.zeros((33, 47, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png has no labels"):
        invoke("evaluate", str(small_checkpoint), "--data", str(tmp_path))


def test_bad_images_stop_or_are_left_out_and_counted(small_checkpoint, tmp_path):
    images, labels = tmp_path / "images", tmp_path / "labels"
    for folder in (images, labels):
        folder.mkdir()
    for name in ("a", "b"):
        Image.fromarray(np.zeros((33, 47, 3), np.uint8)).save(images / f"{name}.png")
        Image.fromarray(np.zeros((33, 47), np.uint8)).save(labels / f"{name}.png")
    (images / "b.png").write_bytes(b"not an image")
    arguments = [str(small_checkpoint), "--data", str(images), "--labels", str(labels)]
    with pytest.raises(DataError, match=r"b\.png"):
        figures(*arguments)
    found = figures(*arguments, "--bad-images", "skip")
    assert (found["images"], found["left_out"]) == (1, 1)
