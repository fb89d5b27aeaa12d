"""Tell the kind of a model file by its suffix, in any case of letters, or by its content."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fcn_deploy.model_file import demo_path, file_of, kind_of
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
def test_the_suffix_tells_the_kind_in_any_case_of_letters(name, kind):
    assert kind_of(name) == kind
    assert kind_of(Path(name)) == kind


def test_the_content_tells_the_kind_where_the_suffix_does_not(tmp_path):
    (tmp_path / "own.ckpt").write_bytes(demo_path().read_bytes())
    torch.save({"a": torch.zeros(3)}, tmp_path / "zip.bin")
    torch.save({"a": torch.zeros(3)}, tmp_path / "pickle", _use_new_zipfile_serialization=False)
    (tmp_path / "graph.model").write_bytes(write_graph(tmp_path / "m.onnx").read_bytes())
    (tmp_path / "rtx").write_bytes(b"vtrt" + PLAN_HEAD)
    (tmp_path / "trt.bin").write_bytes(b"ftrt" + PLAN_HEAD)
    expected = {
        "own.ckpt": "checkpoint",
        "zip.bin": "checkpoint",
        "pickle": "checkpoint",
        "graph.model": "onnx",
        "rtx": "engine",
        "trt.bin": "engine",
    }
    assert {name: kind_of(tmp_path / name) for name in expected} == expected


def test_a_sidecar_tells_that_an_unknown_file_is_an_engine(tmp_path):
    (tmp_path / "old").write_bytes(b"junkjunk")
    assert kind_of(tmp_path / "old") == "checkpoint"
    (tmp_path / "old.json").write_text("{}")
    assert kind_of(tmp_path / "old") == "engine"
    assert file_of(tmp_path / "old.json") == tmp_path / "old"


def test_a_sidecar_alone_names_itself(tmp_path):
    assert file_of(tmp_path / "m.engine.json") == tmp_path / "m.engine.json"
    assert file_of("demo") == demo_path()
