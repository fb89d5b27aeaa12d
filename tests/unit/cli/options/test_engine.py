"""Streams, slots, CUDA graphs and preallocation of an engine from the command line, on a fake GPU."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from fcn_deploy.benchmark.timing import isolated, memory
from fcn_deploy.cli.commands import bench, predict
from fcn_deploy.cli.options.engine import engine_options
from fcn_deploy.runners.engine_options import TrtOptions
from fcn_deploy.runners.trt.runner import TrtRunner
from tests.support.fakes.machine import Machine
from tests.support.tensorrt_nets import *  # noqa: F403  (fixtures)
from tests.support.tensorrt_nets import PROFILES, noise

ASKED = ("--contexts", 2, "--slots", 1, "--no-cuda-graphs", "--preallocate")
MEANT = TrtOptions(contexts=2, slots=1, cuda_graphs=False, preallocate=True)


@pytest.fixture
def engine(net, monkeypatch, tmp_path):
    """An engine, and a photo next to it."""
    Image.fromarray(noise((1, 33, 47))[0]).save(tmp_path / "photo.png")
    return Machine(monkeypatch, 1).build(net, PROFILES, flavor="tensorrt")


@pytest.fixture
def opened(monkeypatch):
    """The options and GPU that each runner was opened with."""
    found = []
    open_engine = TrtRunner.open.__func__

    def open_and_note(cls, *arguments, **given):
        found.append((given.get("engine"), given.get("gpu")))
        return open_engine(cls, *arguments, **given)

    monkeypatch.setattr(TrtRunner, "open", classmethod(open_and_note))
    return found


def test_predict_runs_the_engine_as_asked(engine, tmp_path, shell, opened, reference):
    out = tmp_path / "out"
    for asked in ((), ASKED, ("--cuda-graphs", "--runner", "tensorrt:0")):
        ended = shell("predict", engine, tmp_path / "photo.png", "-o", out, *asked)
        assert ended.code == 0, ended.err
        labels = np.asarray(Image.open(out / "photo.png"))
        assert np.array_equal(labels, reference(noise((1, 33, 47)))["labels"][0])
    assert opened == [(None, None), (MEANT, None), (TrtOptions(cuda_graphs=True), 0)]


def test_bench_runs_its_rows_of_engines_as_asked(engine, tmp_path, shell, opened, monkeypatch):
    timed = []
    monkeypatch.setattr(memory, "run_in_child", lambda module, request, **given: memory._measure_here(**request))
    monkeypatch.setattr(memory, "decode", lambda kind, answer, *words: timed.append(answer) or answer)
    arguments = ("--data", tmp_path, "--iterations", 3, "--warmup", 0, "--saturation", 0, "--json", tmp_path / "r.json")
    ended = shell("bench", engine, "--runners", "tensorrt,tensorrt:0", *arguments, *ASKED)
    assert ended.code == 0, ended.err
    rows = json.loads((tmp_path / "r.json").read_text())["rows"]
    assert [(row["runner"], row["status"]) for row in rows] == [("tensorrt", "ok"), ("tensorrt:0", "ok")]
    assert opened == 2 * [(MEANT, None), (MEANT, 0)]  # once to time them, once for their memory
    assert len(timed) == 2


def test_a_process_of_its_own_opens_the_engine_as_asked(engine, opened, monkeypatch):
    monkeypatch.setattr(isolated.gc, "disable", lambda: None)  # this process goes on
    child = isolated._Child()
    assert child.open("tensorrt", str(engine), None, None, MEANT)
    child._runner.runner.close()
    assert opened == [(MEANT, None)]


def test_a_gpu_that_is_not_there_and_a_row_without_an_engine_are_one_line(engine, tmp_path, shell):
    photo = tmp_path / "photo.png"
    ended = shell("predict", engine, photo, "-o", tmp_path / "out", "--runner", "tensorrt:3")
    assert (ended.code, ended.err.splitlines()[-1]) == (1, "error: there is no GPU 3; CUDA shows 1 to this process")
    ended = shell("predict", "demo", photo, "-o", tmp_path / "out", "--contexts", 2)
    assert ended.code == 1
    assert "pytorch runs no engine; contexts, slots, CUDA graphs and preallocation are for tensorrt" in ended.err
    ended = shell("bench", "demo", "--runners", "pytorch", "--slots", 2)
    assert ended.code == 1
    assert "no row runs an engine; contexts, slots, CUDA graphs and preallocation are for tensorrt" in ended.err


@pytest.mark.parametrize("command", [bench.command, predict.command], ids=["bench", "predict"])
def test_both_commands_have_the_same_options_in_a_group_of_their_own(command):
    (group,) = [one for one in command.option_groups if one.title == "Engines (tensorrt)"]
    assert [option.opts[0] for option in group.options] == ["--contexts", "--slots", "--cuda-graphs", "--preallocate"]


def test_nothing_given_asks_for_nothing():
    given = {"contexts": None, "slots": None, "cuda_graphs": None, "preallocate": None, "batch": 1}
    assert engine_options(given) is None
    assert given == {"batch": 1}
