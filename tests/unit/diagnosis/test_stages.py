"""The stages of a deployment, opened from their files."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from fcn_deploy.diagnosis.stages import Stage, open_chain
from fcn_deploy.errors import EngineError, GraphError
from tests.support.fake_runners import FakeRunner
from tests.support.fakes.tensorrt_module import plan_header
from tests.support.onnx_files import write_graph
from tests.support.small_fcn import write_fcn


def stage(name: str, **options: object) -> Stage:
    return Stage(name, "onnx", f"{name}.onnx", "fp32", None, runner=FakeRunner(name, **options))  # type: ignore[arg-type]


def test_files_of_one_name_are_distinguished_by_their_folders(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_fcn(tmp_path / folder / "fcn.onnx", card=None)
    stages = open_chain([str(tmp_path / "a" / "fcn.onnx"), str(tmp_path / "b" / "fcn.onnx")])
    assert [stage.name for stage in stages] == [str(tmp_path / folder / "fcn.onnx") for folder in ("a", "b")]


def test_a_file_of_another_tool_has_no_pytorch_stage_and_says_so(tmp_path):
    said: list[str] = []
    fcn = str(write_fcn(tmp_path / "fcn.onnx", card=None))
    progress = SimpleNamespace(say=said.append)
    with pytest.raises(GraphError, match="is one stage alone"):
        open_chain([fcn], progress=progress)  # type: ignore[arg-type]
    assert "holds no model card" in said[0]
    assert said[0].startswith("no PyTorch stage: ")


def test_an_engine_must_be_there_and_one_without_a_sidecar_claims_nothing(tmp_path):
    fcn, engine = str(write_fcn(tmp_path / "fcn.onnx", card=None)), tmp_path / "fcn.engine"
    with pytest.raises(EngineError, match="does not exist"):
        open_chain([fcn, str(engine)])
    engine.write_bytes(plan_header("tensorrt", 40))
    assert open_chain([fcn, str(engine)])[-1].claim == "unknown"
    for content, fault in ((b"", "is empty"), (b"<html>", "is no engine")):
        engine.write_bytes(content)
        with pytest.raises(EngineError, match=fault):
            open_chain([fcn, str(engine)])


def test_every_kind_of_file_becomes_its_stage_in_any_case_of_letters(tmp_path):
    write_graph(tmp_path / "m.ONNX")
    for name in ("e.trt", "e.PLAN", "e.engine"):
        (tmp_path / name).write_bytes(plan_header("tensorrt", 40))
    sources = ["demo", *(str(tmp_path / name) for name in ("m.ONNX", "e.trt", "e.PLAN", "e.engine"))]
    stages = open_chain(sources)
    assert [stage.kind for stage in stages] == ["pytorch", "onnx", "engine", "engine", "engine"]
    assert [stage.runner_name for stage in stages] == ["pytorch", "onnxruntime", *["tensorrt"] * 3]
