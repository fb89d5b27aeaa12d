"""What keeps an engine from being loaded, told before the library is asked where a sidecar can tell it."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest

from fcn_deploy.engine.sidecar import BuiltFor, sidecar_path
from fcn_deploy.errors import CheckpointError, EngineError, MissingDependencyError, RunnerError
from fcn_deploy.runners.registry import open_runner
from fcn_deploy.runners.trt import runner as trt_runner
from fcn_deploy.vocabulary import Profile
from tests.support.fakes.machine import Machine
from tests.support.fakes.tensorrt_module import plan_header, write_plan
from tests.support.onnx_files import write_graph
from tests.support.tensorrt_nets import *  # noqa: F403  (fixtures)
from tests.support.tensorrt_nets import PROFILES, noise


@pytest.fixture
def machine(monkeypatch):
    made = Machine(monkeypatch)
    yield made
    made.check()


def refusal(path: object, kind: type[Exception] = EngineError) -> str:
    with pytest.raises(kind) as caught:
        open_runner("tensorrt", str(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_missing_an_empty_and_a_truncated_engine_are_distinguished(machine, net, tmp_path):
    assert "does not exist; expected an .onnx file, an engine" in refusal(tmp_path / "none.engine")
    assert "is a folder" in refusal(tmp_path, CheckpointError)
    engine = machine.build(net, PROFILES)
    plan = engine.read_bytes()
    engine.write_bytes(plan[:100])
    assert f"is truncated: it has 100 of {len(plan)} bytes; copy it again, or build it again" in refusal(engine)
    sidecar_path(engine).unlink()
    assert f"is truncated: it has 100 of {len(plan)} bytes" in refusal(engine)  # as its header says
    engine.write_bytes(plan[:9])
    assert "is truncated: it has 9 bytes" in refusal(engine)
    engine.write_bytes(b"")
    assert "net.engine is empty" in refusal(engine)
    engine.write_bytes(b"<html>not found</html>")
    assert "net.engine is no engine: it starts with b'<html>no'; build one with fcn-deploy" in refusal(engine)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", plan_header("tensorrt_rtx", 3000)])
def test_a_damaged_engine_is_reported_where_there_is_no_gpu(content, tmp_path, monkeypatch):
    monkeypatch.setattr(trt_runner, "CudaDevice", lambda gpu: pytest.fail("the GPU was opened"))
    (tmp_path / "m.engine").write_bytes(content)
    assert re.search(r"m\.engine is (empty|no engine|truncated)", refusal(tmp_path / "m.engine"))


def test_an_onnx_file_is_sent_to_the_builder(machine, net):
    assert "runs engines, not" in refusal(net, RunnerError)
    assert "fcn-deploy build-engine makes one of it" in refusal("demo", RunnerError)


def test_a_sidecar_of_another_engine_is_refused(machine, net):
    engine = machine.build(net, PROFILES)
    plan = bytearray(engine.read_bytes())
    plan[-1] ^= 1
    engine.write_bytes(plan)
    message = refusal(engine)
    assert "net.engine.json describes another engine than net.engine (SHA-256 differs)" in message


def test_an_unreadable_sidecar_is_refused(machine, net):
    engine = machine.build(net, PROFILES)
    sidecar_path(engine).write_text("{}")
    assert "net.engine.json cannot be read as the description of an engine" in refusal(engine)


def test_another_release_says_what_to_install(machine, net):
    engine = machine.build(net, PROFILES, flavor="tensorrt", version="10.16.1")
    message = refusal(engine)
    assert "was built with tensorrt 10.16.1, here is 10.3.0" in message
    assert "pip install tensorrt==10.16.1, or build it again here with fcn-deploy build-engine" in message


def test_a_plan_for_later_releases_may_carry_its_own_runtime(machine, net):
    engine = machine.build(net, PROFILES, flavor="tensorrt", version="10.0.1", options={"version_compatible": True})
    with open_runner("tensorrt", str(engine)) as runner:
        assert runner.infer({"image": noise((1, 33, 47))})["labels"].shape == (1, 33, 47)
        assert machine.gpu.made["host code allowed"] == 1


def test_another_architecture_is_reported_with_both_unless_the_plan_fits_several(machine, net):
    other = BuiltFor(("SM80", "SM90"))
    message = refusal(machine.build(net, PROFILES, built_for=other))
    assert "was built for SM80, SM90; Fake GPU is SM89; build it for that with fcn-deploy build-engine" in message
    open_runner(
        "tensorrt", str(machine.build(net, PROFILES, built_for=other, options={"hardware_compatible": True}))
    ).close()


def test_a_plan_without_its_weights_is_refused(machine, net):
    message = refusal(machine.build(net, PROFILES, flavor="tensorrt", options={"strip": True}))
    assert "was built without its weights" in message


def test_the_library_that_built_it_must_be_there(machine, net, monkeypatch):
    engine = machine.build(net, PROFILES, flavor="tensorrt")
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert "tensorrt is not installed" in refusal(engine, MissingDependencyError)


def test_a_plan_that_the_library_refuses_is_reported_in_its_words(machine, net):
    engine = machine.build(net, PROFILES)
    machine.gpu.fail_next("deserialize_cuda_engine")
    assert "TensorRT for RTX 1.7.1 cannot load it: IRuntime::deserializeCudaEngine: Error Code 2: OutOf" in refusal(
        engine
    )


def test_junk_without_a_sidecar_is_identified_by_every_library_that_is_here(machine, tmp_path):
    path = tmp_path / "junk.engine"
    path.write_bytes(plan_header("tensorrt_rtx", 128) + bytes(100))
    message = refusal(path)
    assert "TensorRT for RTX 1.7.1 cannot load it: IRuntime::deserializeCudaEngine: Error Code 1" in message
    assert "(MALFORMED_ENGINE); TensorRT 10.3.0 cannot load it" in message
    assert "junk.engine.json, which says what built it, is missing" in message


def test_the_real_library_s_words_and_diagnosis_reach_the_user(tmp_path, monkeypatch):
    real = pytest.importorskip("tensorrt_rtx")
    Machine(monkeypatch)
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", real)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    path = tmp_path / "junk.engine"
    path.write_bytes(plan_header("tensorrt", 128) + bytes(100))
    message = refusal(path)
    assert "IRuntime::deserializeCudaEngine: Error Code 1: Serialization" in message
    assert "(MALFORMED_ENGINE)" in message


@pytest.mark.parametrize("flavor", ["tensorrt", "tensorrt_rtx"])
def test_an_engine_of_another_tool_runs_without_a_sidecar_in_the_library_that_takes_it(machine, net, reference, flavor):
    engine = write_plan(net.with_name("other.engine"), net, PROFILES, flavor)
    with open_runner("tensorrt", str(engine)) as runner:
        assert runner.card is None
        assert any("no sidecar" in note for note in runner.notes)
        found = runner.infer({"image": noise((2, 33, 47))})["labels"]
    assert np.array_equal(found, reference(noise((2, 33, 47)))["labels"])


def test_a_float_engine_without_a_sidecar_lacks_the_mean_and_says_so(machine, tmp_path):
    onnx = write_graph(tmp_path / "float.onnx", image="float")
    engine = write_plan(tmp_path / "float.engine", onnx, PROFILES, "tensorrt")
    message = refusal(engine)
    assert "'image' tensor(float)[-1, 3, -1, -1] and it holds no model card, so the mean" in message


def test_an_engine_of_another_kind_is_identified_by_its_ports(machine, net, tmp_path):
    import onnx
    from onnx import TensorProto, helper

    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 5]) for name in ("tokens", "scores")]
    graph = helper.make_graph([helper.make_node("Relu", ["tokens"], ["scores"])], "other", [ports[0]], [ports[1]])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "o.onnx")
    engine = write_plan(
        tmp_path / "o.engine", tmp_path / "o.onnx", (Profile((1, 5, 5), (1, 5, 5), (1, 5, 5)),), "tensorrt"
    )
    assert "its input is 'tokens' tensor(float)[-1, 5]; expected one image, uint8[N, H, W, 3]" in refusal(engine)


def test_a_precision_after_the_colon_must_be_the_engine_s(machine, net):
    engine = str(machine.build(net, PROFILES, precision="int8+fp16"))
    open_runner("tensorrt:int8+fp16", engine).close()
    with pytest.raises(EngineError, match=r"net.engine is of int8\+fp16; asked for was fp16: build such an engine"):
        open_runner("tensorrt:fp16", engine)


def test_layouts_and_types_that_a_host_cannot_read_are_refused(machine, net, monkeypatch):
    from tests.support.fakes import tensorrt_module as fake

    engine = machine.build(net, PROFILES)
    with monkeypatch.context() as patch:
        patch.setattr(fake.Engine, "get_tensor_format", lambda self, name: fake.TensorFormat.CHW4)
        assert "is laid out as 4 wide; expected LINEAR: build it without I/O formats" in refusal(engine)
    with monkeypatch.context() as patch:
        patch.setattr(fake.Engine, "get_tensor_dtype", lambda self, name: fake.DataType.BF16)
        assert "is BF16, which NumPy does not have" in refusal(engine)
