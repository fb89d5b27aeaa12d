"""Tell the kind of a model file by its suffix, in any case of letters, or by its content."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from fcn_deploy.errors import CheckpointError, EngineError, FcnDeployError, GraphError, RecipeError
from fcn_deploy.model_file import DEMO_CHECKPOINT, RECIPES, file_of, kind_of, require_file
from tests.support.onnx_files import write_graph

PLAN_HEAD = bytes(12) + (3000).to_bytes(8, "little") + bytes((1, 7, 1, 116))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("demo", "demo"),
        ("a.safetensors", "checkpoint"),
        ("a.PTH", "checkpoint"),
        ("a.pt", "checkpoint"),
        ("R.TOML", "recipe"),
        ("a/demo.Onnx", "onnx"),
        ("e.trt", "engine"),
        ("e.PLAN", "engine"),
        ("e.engine", "engine"),
        ("e.engine.json", "engine"),
        ("missing", "checkpoint"),
    ],
)
def test_the_suffix_shows_the_kind_in_any_case_of_letters(name, kind):
    assert kind_of(name) == kind
    assert kind_of(Path(name)) == kind


def test_the_content_shows_the_kind_whatever_the_suffix(tmp_path):
    (tmp_path / "own.ckpt").write_bytes(DEMO_CHECKPOINT.read_bytes())
    torch.save({"a": torch.zeros(3)}, tmp_path / "zip.bin")
    torch.save({"a": torch.zeros(3)}, tmp_path / "pickle", _use_new_zipfile_serialization=False)
    (tmp_path / "graph.model").write_bytes(write_graph(tmp_path / "m.onnx").read_bytes())
    (tmp_path / "rtx").write_bytes(b"vtrt" + PLAN_HEAD)
    (tmp_path / "trt.bin").write_bytes(b"ftrt" + PLAN_HEAD)
    (tmp_path / "own.onnx").write_bytes(DEMO_CHECKPOINT.read_bytes())
    (tmp_path / "graph.pth").write_bytes((tmp_path / "m.onnx").read_bytes())
    (tmp_path / "plan.onnx").write_bytes(b"ftrt" + PLAN_HEAD)
    (tmp_path / "cut.onnx").write_bytes(b"")
    (tmp_path / "text.engine").write_text("hello")
    expected = {
        "own.ckpt": "checkpoint",
        "zip.bin": "checkpoint",
        "pickle": "checkpoint",
        "graph.model": "onnx",
        "rtx": "engine",
        "trt.bin": "engine",
        "own.onnx": "checkpoint",
        "graph.pth": "onnx",
        "plan.onnx": "engine",
        "cut.onnx": "onnx",
        "text.engine": "engine",
    }
    assert {name: kind_of(tmp_path / name) for name in expected} == expected


def test_a_sidecar_shows_that_an_unknown_file_is_an_engine(tmp_path):
    (tmp_path / "old").write_bytes(b"junkjunk")
    assert kind_of(tmp_path / "old") == "checkpoint"
    (tmp_path / "old.json").write_text("{}")
    assert kind_of(tmp_path / "old") == "engine"
    assert file_of(tmp_path / "old.json") == tmp_path / "old"


def test_a_sidecar_alone_names_itself(tmp_path):
    assert file_of(tmp_path / "m.engine.json") == tmp_path / "m.engine.json"
    assert file_of("demo") == DEMO_CHECKPOINT


@pytest.mark.parametrize(
    ("name", "error"),
    [("m.onnx", GraphError), ("m.plan", EngineError), ("m.toml", RecipeError), ("m.pth", CheckpointError)],
)
def test_a_missing_file_is_the_error_of_its_kind_with_names_near_it(tmp_path, name, error):
    with pytest.raises(error, match=r"does not exist; expected an \.onnx file, an engine"):
        require_file(tmp_path / name)
    (tmp_path / "m1.plan").write_bytes(b"")
    if name == "m.plan":
        with pytest.raises(error, match=r"m\.plan does not exist; did you mean m1\.plan\?"):
            require_file(tmp_path / name)


def test_a_misspelt_shipped_recipe_brings_the_names_near_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    require_file("fcn8s-voc.toml")
    assert file_of("fcn8s-voc.toml").parent == RECIPES
    with pytest.raises(RecipeError, match=r"did you mean fcn8s-voc\.toml or"):
        require_file("fcn8-voc.toml")
    with pytest.raises(CheckpointError, match=r"vgg16 does not exist; did you mean vgg16-imagenet\.toml\?"):
        require_file("vgg16")
    with pytest.raises(RecipeError, match=r"sub/fcn8s-voc\.toml does not exist"):
        require_file("sub/fcn8s-voc.toml")


def test_the_message_for_a_path_that_is_not_a_file_names_what_it_is(tmp_path):
    (tmp_path / "dangling.onnx").symlink_to("gone.onnx")
    (tmp_path / "loop.onnx").symlink_to("loop.onnx")
    os.mkfifo(tmp_path / "pipe.onnx")
    found = {
        "": "is a folder; expected",
        "dangling.onnx": "is a link to gone.onnx, which does not exist",
        "loop.onnx": "is a link to loop.onnx, which does not exist",
        "pipe.onnx": "is no regular file; expected",
        "none/m.onnx": "does not exist: there is no folder",
    }
    for name, text in found.items():
        with pytest.raises(FcnDeployError, match=text):
            require_file(tmp_path / name)
    for folder in ("", ".", "..", "/"):
        with pytest.raises(CheckpointError, match="is a folder"):
            require_file(folder)
    require_file("demo")


def test_a_sidecar_without_its_engine_names_the_engine(tmp_path):
    (tmp_path / "m.engine.json").write_text("{}")
    with pytest.raises(EngineError, match=r"m\.engine\.json describes the engine m\.engine, which is missing next to"):
        require_file(tmp_path / "m.engine.json")
    require_file(tmp_path / "m.engine.json", sidecar_alone=True)
    write_graph(tmp_path / "m.onnx").rename(tmp_path / "m.engine.json")
    require_file(tmp_path / "m.engine.json")  # an ONNX file, whatever its name
