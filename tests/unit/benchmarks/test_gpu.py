"""The suite of the GPU, raced on a CPU; which of PyTorch's programs counts, and what happens to those that fail."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import gpu, limits
from benchmarks.gpu import Opened, is_answer, over_pytorch
from benchmarks.peers import OURS
from benchmarks.suite import load_suite
from fcn_deploy.errors import RunnerError, UnknownNameError
from fcn_deploy.runners import pytorch_shapes
from tests.support.fake_runners import FakeRunner

SETTINGS = {
    "model": "fcn8s", "width": 0.05, "sizes": ["33x47"], "ours": {"onnxruntime": "FP32"}, "theirs": ["PyTorch eager"],
    "device": "cpu", "rounds": 2, "pause_s": 0.0, "settle_ms": 1.0, "compile_seconds": 1.0, "energy_s": 0.1,
    "budget_s": 60.0,
}  # fmt: skip


@pytest.fixture(autouse=True)
def small_products(monkeypatch):
    monkeypatch.setattr(limits, "GPU_SIDE", 16)


def measure(**changes):
    return gpu.measure(**SETTINGS | changes)


def test_every_program_is_raced_at_every_size():
    names = ["PyTorch eager", *(OURS + spec for spec in ("pytorch", "pytorch:bf16", "onnxruntime"))]
    ours = {"pytorch": "FP32", "pytorch:bf16": "FP16", "onnxruntime": "FP32"}
    rows, facts = measure(ours=ours, sizes=["33x47", "40x40"])
    assert [row["question"] for row in rows] == ["fcn8s, width 0.05, 33x47", "fcn8s, width 0.05, 40x40"]
    for row, ran in zip(rows, (names, names[1:]), strict=True):  # as users write them, at the first size
        assert list(row["median_ms"]) == ran
        assert {len(times) for times in row["samples_ms"].values()} == {2}
        assert {len(times) for times in row["products_ms"].values()} == {gpu.PRODUCT_ROUNDS}
        assert row["ours"] == OURS + "onnxruntime"
        assert row["fastest_pytorch"] in names[:3]
        assert row["times_fastest_pytorch"].keys() == {OURS + "onnxruntime"}
        assert row["same_labels"][OURS + "onnxruntime"] >= 0.999
        assert set(row["computes_in"].values()) <= set(row["limit_ms"])
        assert row["not_run"] == {}
    assert all(len(times) == 2 * gpu.FIRST_RUNS for times in facts["first_runs_s"].values())
    assert (facts["left_out"], "device" in facts) == ({}, False)
    assert facts["seconds"] > 0


@pytest.mark.long  # the demo is exported and proven for it
def test_the_demo_is_raced_with_its_own_weights():
    (row,), _ = measure(model="demo", sizes=["64x96"])
    assert row["question"] == "fcn8s, width 0.25, 64x96"
    assert row["same_labels"][OURS + "onnxruntime"] == 1


def test_no_size_starts_once_the_time_is_over():
    rows, facts = measure(sizes=["33x47", "40x40", "48x48"], budget_s=0.0, theirs=[], ours={"onnxruntime": "FP32"})
    assert (len(rows), list(facts["left_out"])) == (1, ["40x40", "48x48"])
    assert rows[0]["fastest_pytorch"] is None


def test_a_size_that_fails_leaves_those_before_it_in_the_record(monkeypatch):
    race = gpu.race

    def failing(question, *given):
        if "40x40" in question:
            raise RuntimeError("CUDA error: out of memory\nwith more")
        return race(question, *given)

    monkeypatch.setattr(gpu, "race", failing)
    rows, facts = measure(sizes=["33x47", "40x40"])
    assert [row["question"][-5:] for row in rows] == ["33x47"]
    assert facts["left_out"] == {"40x40": "CUDA error: out of memory"}
    with pytest.raises(RuntimeError, match="out of memory"):
        measure(sizes=["40x40"])


def test_rows_that_cannot_be_opened_or_run_say_why_and_the_others_race(monkeypatch):
    def broken(image):
        raise RuntimeError("no such header")

    monkeypatch.setattr(pytorch_shapes.torch, "compile", lambda call, **options: broken)
    monkeypatch.setenv("CXX", "true")
    ours = {"pytorch:cpu:fp16": "FP16", "pytorch:compile": "FP32", "onnxruntime": "FP32"}
    (row,), facts = measure(ours=ours)
    assert list(row["median_ms"]) == ["PyTorch eager", OURS + "onnxruntime"]
    assert "made for FP32 and BF16" in row["not_run"][OURS + "pytorch:cpu:fp16"]
    assert "torch.compile failed: no such header" in row["not_run"][OURS + "pytorch:compile"]
    assert list(facts["notes"]) == [OURS + "pytorch:compile", OURS + "onnxruntime"]


def test_a_compiled_row_has_no_further_size_when_time_runs_out():
    opened = Opened({OURS + "pytorch:cuda:fp16:compile": FakeRunner(), OURS + "onnxruntime": FakeRunner()})
    gpu._drop_compiled(opened, False)
    assert len(opened.runners) == 2
    gpu._drop_compiled(opened, True)
    assert list(opened.runners) == [OURS + "onnxruntime"]
    assert opened.failed == {OURS + "pytorch:cuda:fp16:compile": "no time was left to compile it for this size"}


def test_a_runner_that_fails_at_a_size_is_out():
    opened = Opened({"a": FakeRunner(fail_at=2), "b": FakeRunner()})
    opened.warm_up(np.zeros((8, 8, 3), np.uint8))
    assert list(opened.runners) == ["b"]
    assert opened.failed == {"a": "fake ran out of memory"}


def test_ours_is_compared_with_the_fastest_of_pytorch_in_whatever_form():
    medians = {
        "PyTorch eager": 20.0, "torch.compile": 21.0, "ONNX Runtime": 1.5, OURS + "pytorch:cuda:fp16": 1.0,
        OURS + "onnxruntime:cuda": 2.0, OURS + "onnxruntime:cuda:fp16": 0.8,
    }  # fmt: skip
    assert over_pytorch({"median_ms": medians}) == {
        "fastest_pytorch": OURS + "pytorch:cuda:fp16",
        "times_fastest_pytorch": {OURS + "onnxruntime:cuda": 0.5, OURS + "onnxruntime:cuda:fp16": 1.25},
    }
    assert [is_answer(name) for name in medians] == [False, False, False, False, True, True]


def test_each_program_runs_alone_for_its_joules(monkeypatch):
    class Watch:
        reason, looks, used = "", 0, 0.0

        def joules(self):
            self.used += 5.0
            return {0: self.used}

        def look(self):
            self.looks += 1

    calls, watch = {"quick": 0, "slow": 0}, Watch()

    def program(name: str, seconds: float):
        def run(image):
            calls[name] += 1
            time.sleep(seconds)

        return run

    programs = {"quick": program("quick", 0.001), "slow": program("slow", 0.2)}
    found = gpu.joules_of(programs, np.zeros((2, 2, 3), np.uint8), watch, 0.1)
    assert calls["quick"] > 10
    assert calls["slow"] == 1
    assert found["slow"] == {"gpu 0": pytest.approx(5.0, rel=0.1)}
    assert found["quick"] == {"gpu 0": pytest.approx(5.0 / calls["quick"], rel=0.1)}
    assert watch.looks == 2
    monkeypatch.setattr(watch, "joules", dict)
    assert gpu.joules_of(programs, np.zeros((2, 2, 3), np.uint8), watch, 0.1) == {}


def test_unknown_programs_and_runners_are_answered_with_the_names():
    with pytest.raises(UnknownNameError, match="unknown program 'PyTorch eger'; did you mean PyTorch eager"):
        measure(theirs=["PyTorch eger"])
    with pytest.raises(UnknownNameError, match="unknown runner"):
        measure(ours={"pytorhc": "FP32"})


def test_the_file_of_the_suite_has_each_parameter(monkeypatch):
    suite = load_suite("gpu")
    assert suite.parameters.keys() == SETTINGS.keys()
    assert {"pytorch:cuda", "pytorch:cuda:fp16", "onnxruntime:cuda", "onnxruntime:cuda:fp16"} <= set(
        suite.parameters["ours"]
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_the_suite_of_the_gpu_wants_one(tmp_path: Path):
    with pytest.raises(RunnerError, match="PyTorch finds no NVIDIA GPU"):
        measure(device="cuda")


@pytest.mark.long
def test_peers_as_users_write_them_are_raced_too():
    theirs = ["PyTorch eager", "PyTorch eager, FP16", "ONNX Runtime"]
    (row,), _ = measure(width=0.25, theirs=theirs)
    assert list(row["median_ms"]) == [*theirs, OURS + "onnxruntime"]
    assert row["same_labels"]["ONNX Runtime"] == 1
    assert row["same_labels"]["PyTorch eager, FP16"] > 0.9
