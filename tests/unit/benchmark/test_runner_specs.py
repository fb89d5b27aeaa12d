"""What a row of the benchmark runs, from the words that the user gave."""

from __future__ import annotations

from pathlib import Path

import pytest

from fcn_deploy.benchmark import runner_specs
from fcn_deploy.benchmark.model_files import ModelFiles
from fcn_deploy.benchmark.runner_specs import RunnerSpec, default_specs, parse_spec, rows_of
from fcn_deploy.errors import EngineError, RunnerError, UnknownNameError
from fcn_deploy.sources.model_source import ModelSource
from tests.support.int8_fcn import int8
from tests.support.small_fcn import write_fcn


@pytest.mark.parametrize(
    ("spec", "expected", "target"),
    [
        ("onnxruntime", RunnerSpec("onnxruntime", "onnxruntime", None), "cpu"),
        ("onnxruntime:int8", RunnerSpec("onnxruntime:int8", "onnxruntime", "int8"), "cpu"),
        ("onnxruntime:cuda:int8", RunnerSpec("onnxruntime:cuda:int8", "onnxruntime:cuda", "int8"), "tensorrt"),
        ("onnxruntime:fp16:cuda", RunnerSpec("onnxruntime:fp16:cuda", "onnxruntime:cuda", "fp16"), "tensorrt"),
        ("tensorrt:int8+fp16", RunnerSpec("tensorrt:int8+fp16", "tensorrt", "int8+fp16"), "tensorrt"),
        ("pytorch:cuda", RunnerSpec("pytorch:cuda", "pytorch:cuda", None), "tensorrt"),
        ("tensorrt:fp16:1", RunnerSpec("tensorrt:fp16:1", "tensorrt:1", "fp16"), "tensorrt"),
        ("onnxruntime:cuda:1:int8", RunnerSpec("onnxruntime:cuda:1:int8", "onnxruntime:cuda:1", "int8"), "tensorrt"),
    ],
)
def test_a_precision_is_distinguished_from_a_device(spec: str, expected: RunnerSpec, target: str) -> None:
    assert parse_spec(spec) == expected
    assert expected.target == target


def test_what_a_runner_cannot_take_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="pytorch takes none but fp16, bf16, compile"):
        parse_spec("pytorch:int8")
    with pytest.raises(UnknownNameError, match="onnxruntime takes one precision"):
        parse_spec("onnxruntime:fp16:int8")
    with pytest.raises(RunnerError, match="'pytorch:1': a single number names a GPU of tensorrt, onnx"):
        parse_spec("pytorch:1")
    with pytest.raises(UnknownNameError, match="unknown runner 'tensort'; did you mean tensorrt"):
        parse_spec("tensort:fp16")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "onnxruntime:int4",
            r"precision of onnxruntime 'int4'; did you mean int8\?.*fp32, fp8, fp8\+fp16, int8, int8\+fp16",
        ),
        ("openvino:fp64", r"unknown precision of openvino 'fp64'.*bf16"),
        ("onnxruntime:cuda:fp16+int8", r"unknown precision of onnxruntime 'fp16\+int8'"),
        ("tensorrt:fp99xyz", r"unknown precision of tensorrt 'fp99xyz'.*fp16, fp32, fp8, fp8\+fp16, int8, int8\+fp16"),
        ("tensorrt:cuda", r"unknown precision of tensorrt 'cuda'"),
    ],
)
def test_unknown_precision_is_answered_with_the_precisions(spec, message):
    with pytest.raises(UnknownNameError, match=message):
        parse_spec(spec)


def test_device_is_no_precision():
    assert parse_spec("onnxruntime:dml:int8") == RunnerSpec("onnxruntime:dml:int8", "onnxruntime:dml", "int8")


def test_the_default_rows_follow_from_the_libraries_and_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_specs, "find_spec", lambda name: None)
    assert default_specs("demo", True) == ("pytorch", "onnxruntime", "onnxruntime:int8")
    assert default_specs("demo", False) == ("pytorch", "onnxruntime")
    monkeypatch.setattr(runner_specs, "find_spec", lambda name: "there" if name == "tensorrt_rtx" else None)
    assert default_specs("demo", True)[3:] == ("tensorrt:fp16", "tensorrt:int8+fp16")
    assert default_specs("demo", False)[2:] == ("tensorrt:fp16",)
    monkeypatch.setattr(runner_specs, "find_spec", lambda name: "there" if name == "openvino" else None)
    assert default_specs("demo", True)[2:] == ("onnxruntime:int8", "openvino", "openvino:int8")
    assert default_specs("demo", False)[2:] == ("openvino",)


def test_a_file_that_was_rewritten_already_is_built_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fcn_deploy.graph.load import load_graph
    from fcn_deploy.graph.weights import save_graph
    from fcn_deploy.quantization.rewrites.half import to_half
    from fcn_deploy.quantization.rewrites.half_type import nodes_kept_in_fp32

    monkeypatch.setattr(runner_specs, "find_spec", lambda name: "there")
    model = load_graph(write_fcn(tmp_path / "fp32.onnx"))
    assert "tensorrt:fp16" in default_specs(str(tmp_path / "fp32.onnx"), False)
    to_half(model, nodes_kept_in_fp32(model))
    save_graph(model, tmp_path / "half.onnx")
    assert default_specs(str(tmp_path / "half.onnx"), True) == ("onnxruntime", "openvino", "tensorrt")


def cpu_file(folder: Path) -> str:
    """A network quantised for CPUs, with zero points of UINT8, which TensorRT rejects."""
    return str(int8(write_fcn(folder / "m.onnx"), "cpu"))


def test_a_file_for_cpus_gets_no_row_of_tensorrt_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_specs, "find_spec", lambda name: "there")
    path = cpu_file(tmp_path)
    assert default_specs(path, True) == ("onnxruntime", "openvino")
    assert rows_of([path], ["tensorrt"], True) == ((path, ("tensorrt",)),)  # asked for: its row says why it failed


def test_each_of_several_files_has_the_rows_that_can_take_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_specs, "find_spec", lambda name: "there")
    rewritten, engine = cpu_file(tmp_path), str(tmp_path / "e.engine")
    Path(engine).write_bytes(b"vtrtjunk")
    files = ["demo", rewritten, engine]
    as_they_are = [("pytorch", "onnxruntime", "openvino"), ("onnxruntime", "openvino"), ("tensorrt",)]
    assert rows_of(files, None, True) == tuple(zip(files, as_they_are, strict=True))
    asked = ["pytorch", "onnxruntime:int8", "onnxruntime", "tensorrt", "tensorrt:fp16"]
    assert rows_of(files, asked, True) == (
        ("demo", tuple(asked)),
        (rewritten, ("onnxruntime",)),
        (engine, ("tensorrt",)),
    )
    with pytest.raises(RunnerError, match=r"none of the runners opens .*e\.engine; add tensorrt"):
        rows_of(files, ["onnxruntime"], True)


def test_an_engine_has_the_row_of_the_runner_that_opens_it(tmp_path: Path) -> None:
    (tmp_path / "e.TRT").write_bytes(b"junkjunk")
    assert default_specs(str(tmp_path / "e.TRT"), True) == ("tensorrt",)
    with ModelSource(tmp_path / "e.TRT") as source:
        files = ModelFiles(source, tmp_path)
        assert files.file_for(parse_spec("tensorrt")) == (str(tmp_path / "e.TRT"), None)
        with pytest.raises(EngineError, match="is an engine, which holds no PyTorch network"):
            files.file_for(parse_spec("tensorrt:int8"))
