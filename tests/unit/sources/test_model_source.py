"""What each kind of model file gives: its file, digest, card, network and ONNX file, or one clear refusal."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pytest
import torch

from fcn_deploy.card import FOREIGN
from fcn_deploy.errors import CheckpointError, EngineError, ExportError, GraphError
from fcn_deploy.model_file import DEMO_CHECKPOINT
from fcn_deploy.models.checkpoints import save_model
from fcn_deploy.models.network import load_network
from fcn_deploy.onnx_export import export as export_module
from fcn_deploy.onnx_export.export import export
from fcn_deploy.sources import lanes as lanes_module
from fcn_deploy.sources import model_source as source_module
from fcn_deploy.sources.lanes import open_runners
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.files import sha256
from tests.conftest import tiny_model
from tests.support.onnx_files import CARD, write_graph
from tests.unit.runners.ort.test_runner import image_of_pixels

RECIPE = """
name = "demo"
model = "fcn8s"
checkpoint = "weights.safetensors"
url = "https://example.org/weights.safetensors"
keep_float = ["score_fr"]
"""


def test_the_demo_has_a_file_a_card_and_a_network():
    with ModelSource("demo") as source:
        assert (source.kind, source.path, source.default_runner) == ("demo", DEMO_CHECKPOINT, "pytorch")
        assert source.digest() == (sha256(DEMO_CHECKPOINT), DEMO_CHECKPOINT.stat().st_size)
        network, card = source.network()
        assert source.card() is card
        assert source.network()[0] is network


def test_a_recipe_in_capitals_is_a_recipe(tmp_path):
    (tmp_path / "R.TOML").write_text(RECIPE)
    (tmp_path / "weights.safetensors").write_bytes(DEMO_CHECKPOINT.read_bytes())
    with ModelSource(tmp_path / "R.TOML") as source:
        assert source.path == tmp_path / "weights.safetensors"
        assert source.recipe is not None
        assert source.recipe.keep_float == ("score_fr",)
        assert source.network()[1].notes["recipe"] == "demo"


def test_an_onnx_file_is_its_own_onnx_file(tmp_path):
    path = write_graph(tmp_path / "m.ONNX", card=CARD)
    with ModelSource(path) as source:
        assert (source.onnx_file(), source.default_runner, source.card()) == (path, "onnxruntime", CARD)
        assert source.note_for("onnxruntime") == ()
    with pytest.raises(GraphError, match="says in its model card what it holds; --model is for checkpoints"):
        ModelSource(path, model="fcn8s")


def test_an_engine_gives_no_network(tmp_path):
    (tmp_path / "e.trt").write_bytes(b"junkjunk")
    with ModelSource(tmp_path / "e.trt") as source:
        assert (source.kind, source.default_runner, source.card()) == ("engine", "tensorrt", None)
        with pytest.raises(EngineError, match="is an engine, which holds no PyTorch network; give the checkpoint or"):
            source.onnx_file()


@pytest.mark.parametrize(
    ("name", "error"), [("m.onnx", GraphError), ("m.plan", EngineError), ("m.pth", CheckpointError)]
)
def test_a_missing_file_is_one_line_that_says_what_was_expected(tmp_path, name, error):
    with pytest.raises(error, match=r"does not exist; expected an \.onnx"):
        ModelSource(tmp_path / name)


def test_the_network_is_read_once_for_card_export_and_runners(tmp_path, monkeypatch):
    model, card = tiny_model(classes=8)
    save_model(tmp_path / "m.safetensors", model, card)
    read, exported = [], []

    def reading(source, **options):
        read.append(options["model"])
        return load_network(source, **options)

    monkeypatch.setattr(source_module, "load_network", reading)
    monkeypatch.setattr(export_module, "export_model", lambda network, *_, **options: exported.append(network))
    with ModelSource(str(tmp_path / "m.safetensors"), model="fcn8s") as source:
        assert source.card() == card
        assert source.file_for("onnxruntime").endswith("m.onnx")
        for _ in range(2):
            with source.open("pytorch", threads=torch.get_num_threads()) as runner:
                assert runner.infer({"image": np.zeros((1, 33, 47, 3), np.uint8)})["labels"].shape == (1, 33, 47)
        assert exported == [source.network()[0]]
    assert read == ["fcn8s"]


def test_a_network_size_is_a_file_that_export_would_make(tmp_path):
    """All runners, PyTorch too, open a file of that size; the card and the outputs are those of the user's file."""
    model, card = tiny_model(classes=8)
    save_model(tmp_path / "m.safetensors", model, card)
    export(tmp_path / "m.safetensors", tmp_path / "m.onnx", outputs=["labels", "confidence"])
    export(tmp_path / "m.onnx", tmp_path / "own.onnx", outputs=["labels", "confidence"], network_size="0.5")
    with ModelSource(tmp_path / "m.onnx", network_size="0.5") as source:
        made = source.onnx_file()
        assert (made.name, source.name, source.stem) == ("m-0.5.onnx", "m-0.5.onnx", "m-0.5")
        assert source.file_for("pytorch") == source.file_for("onnxruntime") == str(made)
        assert source.card().network_size == "0.5"
        assert source.digest()[0] == sha256(made) == sha256(tmp_path / "own.onnx")
        assert source.note_for("onnxruntime") == ("ran an ONNX file exported from m.onnx for this run",)
    assert not made.exists()


def test_what_cannot_get_another_network_size_is_one_line(tmp_path):
    adopted = write_graph(tmp_path / "unet.onnx", card=replace(CARD, model=FOREIGN))
    with pytest.raises(GraphError, match=r"adopt the given file again with --network-size 0\.5"):
        ModelSource(adopted, network_size="0.5")
    (tmp_path / "e.engine").touch()
    with pytest.raises(EngineError, match=r"is built for its network size; give the \.onnx file"):
        ModelSource(tmp_path / "e.engine", network_size="0.5")
    with ModelSource("demo", network_size="16x320") as source, pytest.raises(ExportError, match="below the stride of"):
        source.onnx_file()


@pytest.mark.parametrize(("cores", "lanes", "threads"), [(1, 1, None), (2, 2, 1), (8, 2, 4)])
def test_openvino_shares_the_cores_out_to_two_lanes(tmp_path, monkeypatch, cores, lanes, threads):
    pytest.importorskip("openvino", reason="openvino is not installed")
    monkeypatch.setattr(lanes_module, "usable_cores", lambda: cores)
    opened = []
    open_one = source_module.open_runner
    monkeypatch.setattr(
        source_module, "open_runner", lambda spec, file, **given: opened.append(given) or open_one(spec, file, **given)
    )
    path = write_graph(tmp_path / "m.onnx")
    with ModelSource(path) as source, ExitStack() as stack:
        runners = open_runners(source, stack, runner="openvino", lanes=None)
        assert len(runners) == lanes
        assert [(given["lanes"], given["threads"]) for given in opened] == [(lanes, threads)]
        classes = np.arange(12, dtype=np.uint8).reshape(1, 3, 4) % 3
        found = [runner.infer({"image": image_of_pixels(classes)})["labels"] for runner in runners]
        assert all(np.array_equal(labels, classes) for labels in found)
