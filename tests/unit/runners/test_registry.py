"""The registry is all that the program knows of a runner: a new one is a file and an entry."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import fcn_deploy.runners
from fcn_deploy.benchmark.run import BenchOptions, run_bench
from fcn_deploy.benchmark.runner_specs import default_specs
from fcn_deploy.benchmark.timing.latency import Budget
from fcn_deploy.cli.main import cli
from fcn_deploy.data.options import DataOptions
from fcn_deploy.doctor.examine import ask_all
from fcn_deploy.doctor.verdicts import verdicts
from fcn_deploy.errors import RunnerError, UnknownNameError
from fcn_deploy.runners import registry
from fcn_deploy.runners.engine_options import TrtOptions
from fcn_deploy.runners.ort.options import ProviderOptions
from fcn_deploy.runners.registry import (
    RUNNERS,
    class_of,
    default_runner,
    device_of,
    distributions,
    gpu_of,
    int8_target,
    open_runner,
)
from fcn_deploy.system.progress import SILENT
from tests.support import mirror_runner
from tests.support.doctor_findings import findings
from tests.support.small_fcn import write_fcn


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file in the folder of runners and the entry in the registry, here and in child processes."""
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / "mirror.py").write_text(Path(mirror_runner.__file__).read_text())
    (folder / "sitecustomize.py").write_text(
        f"import fcn_deploy.runners\nfcn_deploy.runners.__path__.append({str(folder)!r})\n"
        "from fcn_deploy.runners.mirror import register\nregister()\n"
    )
    monkeypatch.setattr(fcn_deploy.runners, "__path__", [*fcn_deploy.runners.__path__, str(folder)])
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    monkeypatch.setitem(RUNNERS, "mirror", mirror_runner.ENTRY)


def test_a_new_runner_is_benchmarked(mirror, tmp_path):
    source = str(write_fcn(tmp_path / "fcn.onnx"))
    for seed in range(2):
        image = np.random.default_rng(seed).integers(0, 255, (34, 46, 3), np.uint8)
        Image.fromarray(image).save(tmp_path / f"{seed}.png")
    assert [spec for spec in default_specs(source, False) if "mirror" in spec] == ["mirror", "mirror:fp16"]
    record = run_bench(
        BenchOptions(
            source=source, runners=("mirror", "mirror:fp16"), data=DataOptions(str(tmp_path)),
            budget=Budget(iterations=2, warmup=1), saturation_s=0.0, isolated=True, memory=True,
        )
    )  # fmt: skip
    assert [(row.runner, row.status, row.reason) for row in record.rows] == [
        (name, "ok", "") for name in ("mirror", "mirror:fp16")
    ]
    assert record.environment["packages"]["numpy"] == np.__version__
    assert all(row.own.memory is not None and row.own.latency is not None for row in record.rows)


def test_a_new_runner_predicts(mirror, tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (33, 47, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    source = write_fcn(tmp_path / "fcn.onnx")
    arguments = ["predict", source, tmp_path / "a.png", "-o", tmp_path / "out", "--runner", "mirror", "--json", "-"]
    done = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["runner"] == "mirror"
    assert (np.asarray(Image.open(tmp_path / "out" / "a.png")) == image.argmax(-1)).all()


def test_a_new_runner_is_examined_by_the_doctor(mirror):
    found = ask_all(("mirror",), SILENT, 60)["mirror"]
    assert found.error == ""
    assert (found.facts["devices"], found.facts["failed"]) == (["cpu"], {})
    verdict = next(one for one in verdicts(findings(mirror=found)) if one.capability == "use Mirror")
    assert (verdict.able, verdict.reason) == (True, f"Mirror {np.__version__} ran a small file on cpu")


def test_a_new_runner_is_distinguished_by_what_it_opens(mirror, tmp_path):
    (tmp_path / "e.trt").write_bytes(b"junkjunk")
    with pytest.raises(RunnerError, match=r"e\.trt is an engine, and mirror runs \.onnx files; use tensorrt"):
        open_runner("mirror", str(tmp_path / "e.trt"))
    with pytest.raises(RunnerError, match=r"mirror runs \.onnx files, not demo; fcn-deploy export makes one of it"):
        open_runner("mirror", "demo")
    with pytest.raises(UnknownNameError, match="unknown runner 'miror'; did you mean mirror"):
        open_runner("miror", "demo")


def test_the_registry_names_packages_and_defaults_once():
    assert distributions() == ("torch", "onnxruntime-gpu", "onnxruntime", "openvino", "tensorrt", "tensorrt-rtx")
    kinds = ("demo", "checkpoint", "recipe", "onnx", "engine")
    assert [default_runner(kind) for kind in kinds] == [*["pytorch"] * 3, "onnxruntime", "tensorrt"]
    assert [int8_target(spec) for spec in ("onnxruntime", "openvino:gpu", "tensorrt")] == ["cpu", *["tensorrt"] * 2]
    assert class_of("pytorch").__name__ == "TorchRunner"


def test_an_unknown_runner_is_answered_with_the_near_match():
    with pytest.raises(UnknownNameError, match="did you mean pytorch"):
        open_runner("pytorhc:cpu", "demo")
    assert set(RUNNERS) >= {"pytorch", "onnxruntime"}


def test_an_unknown_device_and_an_absent_one_are_distinguished():
    with pytest.raises(UnknownNameError, match="did you mean cuda"):
        open_runner("pytorch:cudda", "demo")
    if not torch.cuda.is_available():
        with pytest.raises(RunnerError, match=r"PyTorch .* has .*; use pytorch:cpu"):
            open_runner("pytorch:cuda", "demo")


@pytest.mark.parametrize("spec", ["onnxruntime:int8", "openvino:fp16", "onnxruntime:cuda:int8+fp16"])
def test_precision_of_another_file_is_answered_with_quantize(spec):
    with pytest.raises(UnknownNameError, match=r"in the types that it has; rewrite it first: fcn-deploy quantize"):
        open_runner(spec, "model.onnx")


def test_a_number_behind_the_device_chooses_the_gpu(tmp_path, monkeypatch):
    specs = ("tensorrt", "tensorrt:1", "tensorrt:fp16:2", "onnxruntime:cuda:3", "pytorch:cuda:1:fp16")
    assert [gpu_of(spec) for spec in specs] == [None, 1, 2, 3, 1]
    assert [device_of(spec) for spec in ("tensorrt:1", "onnxruntime:cuda:3")] == ["", "cuda"]
    for spec in ("onnxruntime:1", "pytorch:cpu:1", "openvino:gpu:1", "tensorrt:1:2"):
        with pytest.raises(
            RunnerError, match=f"^'{spec}': a single number names a GPU of tensorrt, onnxruntime:cuda or pytorch:cuda"
        ):
            gpu_of(spec)
    opened = {}

    class Opened:
        @classmethod
        def open(cls, name, source, **given):
            opened[name] = (given["device"], given.get("gpu"), given.get("provider"))
            return cls()

    monkeypatch.setattr(registry, "class_of", lambda name: Opened)
    for name in ("e.engine", "m.onnx"):
        (tmp_path / name).write_bytes(b"x")
    open_runner("tensorrt:fp16:1", str(tmp_path / "e.engine"))
    open_runner("onnxruntime:cuda:2", str(tmp_path / "m.onnx"))
    open_runner("pytorch:cuda:1:fp16", "demo")
    assert opened == {
        "tensorrt:fp16:1": ("fp16", 1, None),
        "onnxruntime:cuda:2": ("cuda", None, ProviderOptions(device_id=2)),
        "pytorch:cuda:1:fp16": ("cuda:fp16", 1, None),
    }


def test_options_of_engines_are_refused_by_other_runners():
    with pytest.raises(RunnerError, match=r"^pytorch runs no engine; contexts, slots, CUDA graphs and prealloc"):
        open_runner("pytorch", "demo", engine=TrtOptions(contexts=2))
