"""Compiling with the real TensorRT for RTX, in this process and in one of its own."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper, numpy_helper

from fcn_deploy.engine.builder import compile as compiling
from fcn_deploy.engine.builder.compile import CompileJob, compile_in_child, compile_plan
from fcn_deploy.engine.builder.options import BuildOptions
from fcn_deploy.engine.flavors import open_flavor
from fcn_deploy.engine.gpus import gpus
from fcn_deploy.engine.sidecar import SidecarPort
from fcn_deploy.errors import EngineError, MissingDependencyError
from fcn_deploy.vocabulary import Profile
from tests.support.small_fcn import write_fcn

pytest.importorskip("tensorrt_rtx", reason="tensorrt_rtx is not installed")

PROFILES = (Profile((1, 2, 2), (2, 34, 46), (3, 100, 158)), Profile((4, 64, 96), (4, 64, 96), (4, 64, 96)))


def _job(folder, options=BuildOptions(), profiles=PROFILES):  # noqa: B008  frozen
    path = write_fcn(folder / "m.onnx")
    return CompileJob(path, folder / "m.engine", "image", (0, 1, 2), profiles, options)


def test_the_plan_its_ports_layers_and_memory_are_reported(tmp_path):
    phases = []
    compiled = compile_plan(open_flavor("rtx"), _job(tmp_path), lambda name, steps: phases.append(name))
    plan = (tmp_path / "m.engine").read_bytes()
    assert (len(plan), plan[:4]) == (compiled.plan_bytes, b"vtrt")
    assert compiled.inputs == (SidecarPort("image", "uint8", (-1, -1, -1, 3)),)
    assert compiled.outputs == (
        SidecarPort("labels", "uint8", (-1, -1, -1)),
        SidecarPort("logits", "float32", (-1, 3, -1, -1)),
    )
    assert {layer.profile for layer in compiled.layers} == {0, 1}
    assert len(compiled.activation_bytes) == 2
    assert phases[0] == "Building engine"


def test_a_child_compiles_the_same_and_shows_its_memory(tmp_path):
    here = compile_plan(open_flavor("rtx"), _job(tmp_path))
    there, peak = compile_in_child("rtx", _job(tmp_path))
    assert (there.layers, there.inputs, there.outputs) == (here.layers, here.inputs, here.outputs)
    assert there.activation_bytes == here.activation_bytes
    assert (tmp_path / "m.engine").stat().st_size == there.plan_bytes
    assert 50e6 < peak < 2e9


class _Stopping:
    """Progress that raises, or presses Ctrl-C, at the first phase of the build."""

    def __init__(self, action):
        self.action, self.children = action, []
        self._others = set(psutil.Process().children())  # another test's, such as multiprocessing's resource tracker

    @contextmanager
    def task(self, description, total):
        yield self

    def advance(self, steps=1, note=""):
        self.children = [child for child in psutil.Process().children() if child not in self._others]
        self.action()

    def say(self, line): ...


SLOW = """
import time
print('fcn_deploy.child {"message": "Building engine"}', flush=True)
time.sleep(60)
"""


def test_ctrl_c_ends_a_builder_that_is_silent_at_once(tmp_path, monkeypatch):
    (tmp_path / "slow_builder.py").write_text(SLOW)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(compiling, "__name__", "slow_builder")
    progress = _Stopping(lambda: threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start())
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        compile_in_child("rtx", _job(tmp_path), progress)
    assert time.monotonic() - started < 20
    assert not progress.children[0].is_running()


def test_ctrl_c_ends_the_build_and_with_it_the_process(tmp_path):
    progress = _Stopping(lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        compile_in_child("rtx", _job(tmp_path), progress)
    assert len(progress.children) == 1
    assert not progress.children[0].is_running()


def test_a_listener_that_raises_ends_a_build_in_this_process(tmp_path):
    phases = []

    def stop(name, steps):
        phases.append(name)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compile_plan(open_flavor("rtx"), _job(tmp_path), stop)
    assert 1 <= len(phases) <= 5  # of about twenty: those before the first finished step
    assert not (tmp_path / "m.engine").exists()


def test_a_child_that_dies_is_an_error_with_its_signal(tmp_path):
    progress = _Stopping(lambda: progress.children[0].kill())
    with pytest.raises(
        EngineError, match=r"the builder's process was killed \(SIGKILL\), often because memory ran out"
    ):
        compile_in_child("rtx", _job(tmp_path), progress)


def test_what_the_child_raises_is_raised_here(tmp_path, monkeypatch):
    with pytest.raises(EngineError, match=r"cannot build m\.onnx: .*workspace.*--workspace-mib"):
        compile_in_child("rtx", _job(tmp_path, BuildOptions(workspace_bytes=1)))
    with pytest.raises(OSError, match="No such file or directory") as raised:
        compile_in_child("rtx", replace(_job(tmp_path), plan=tmp_path / "nowhere" / "m.engine"))
    assert raised.value.errno == errno.ENOENT
    with pytest.raises(MissingDependencyError, match="tensorrt is not installed"):
        compile_in_child("tensorrt", _job(tmp_path))


TALKATIVE = """
import sys
sys.stderr.write("a line of a library\\n" * 10_000)
print('fcn_deploy.child {"error": "EngineError", "text": "the end"}', flush=True)
"""


def test_a_library_that_prints_more_than_a_pipe_holds_does_not_halt_the_build(tmp_path, monkeypatch):
    (tmp_path / "talkative_builder.py").write_text(TALKATIVE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(compiling, "__name__", "talkative_builder")
    patience = threading.Timer(20, lambda: [found.kill() for found in psutil.Process().children()])
    patience.start()
    try:
        with pytest.raises(EngineError, match=r"^the end$"):
            compile_in_child("rtx", _job(tmp_path))
    finally:
        patience.cancel()


def test_a_child_that_cannot_start_is_reported_with_its_last_line(tmp_path, monkeypatch):
    monkeypatch.setattr(compiling, "__name__", "fcn_deploy.engine.nothing")
    with pytest.raises(EngineError, match=r"ended with exit code 1: .*No module named fcn_deploy\.engine\.nothing"):
        compile_in_child("rtx", _job(tmp_path))


@pytest.mark.skipif(bool(gpus()), reason="these are refused where there is no GPU")
@pytest.mark.parametrize("option", ["refit", "strip", "version_compatible"])
def test_what_the_table_refuses_without_a_gpu_the_library_cannot_build(option, tmp_path):
    assert open_flavor("rtx").refusal(option, has_gpu=False)
    with pytest.raises(EngineError, match=r"cannot build m\.onnx: IBuilder::buildSerializedNetwork"):
        compile_plan(open_flavor("rtx"), _job(tmp_path, BuildOptions(**{option: True})))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_timing_cache_stays_empty_as_the_table_says(tmp_path):
    path = tmp_path / "t.cache"
    compile_plan(open_flavor("rtx"), _job(tmp_path, BuildOptions(timing_cache=str(path))))
    assert path.stat().st_size < 1000


def _unsupported(path, op_type, domain=""):
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], name="conv"),
        helper.make_node(op_type, ["a"], ["y"], name="odd", domain=domain),
    ]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3, "H", "W"]) for name in "xy"]
    weights = [numpy_helper.from_array(np.ones((3, 3, 1, 1), np.float32), "w")]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("my.domain", 1)]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


@pytest.mark.parametrize(("op_type", "domain"), [("Det", ""), ("Fancy", "my.domain")])
def test_an_operator_that_the_library_lacks_is_named_with_its_node(op_type, domain, tmp_path):
    path = _unsupported(tmp_path / "u.onnx", op_type, domain)
    profile = Profile((1, 8, 8), (1, 8, 8), (1, 8, 8))
    job = CompileJob(path, tmp_path / "u.engine", "x", (0, 2, 3), (profile,), BuildOptions())
    with pytest.raises(EngineError, match=rf"u\.onnx: node odd: operator {op_type} is not known to TensorRT for RTX"):
        compile_plan(open_flavor("rtx"), job)


def test_the_child_loads_no_library_that_reads_graphs():
    """onnx and onnx_ir took most of a child's start."""
    heavy = ("torch", "onnx", "onnx_ir", "onnxruntime")
    code = f"import sys, fcn_deploy.engine.builder.compile\nprint([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
