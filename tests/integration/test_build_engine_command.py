"""`fcn-deploy build-engine` as a user calls it, with the real TensorRT for RTX, which builds without a GPU."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from PIL import Image

from fcn_deploy.cli.commands.build_engine import command
from fcn_deploy.engine.gpus import Gpu
from fcn_deploy.engine.sidecar import matches_plan, read_sidecar, sidecar_path
from fcn_deploy.errors import DataError, EngineError, FcnDeployError, GraphError, OutputError
from fcn_deploy.model_file import file_of
from fcn_deploy.system.files import sha256
from tests.support.audit_graphs import ERRORS, int8_conv
from tests.support.child_process import finish
from tests.support.onnx_files import write_graph
from tests.support.small_fcn import images, small_weights, write_fcn

pytest.importorskip("tensorrt_rtx", reason="tensorrt_rtx is not installed")

SIZES = ("--min", "1x2x2", "--opt", "2x34x46", "--max", "3x100x158")


def _build(*arguments):
    """Run the command; an expected error is raised as the command line's entry point receives it."""
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    if isinstance(result.exception, FcnDeployError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture
def fcn(tmp_path):
    return write_fcn(tmp_path / "fcn.onnx")


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    for index, batch in enumerate(images(3, (1, 34, 46))):
        Image.fromarray(batch[0]).save(folder / f"{index}.png")
    return folder


def test_an_engine_and_its_sidecar_are_written_and_described(fcn, tmp_path):
    out = tmp_path / "new" / "m.engine"
    result = _build(fcn, *SIZES, "-o", out)
    assert f"wrote {out}" in result.output
    assert "for portable (compute capability 8.0, 8.6, 8.9, 12.0 and later, not 9.0); N x H x W:" in result.output
    assert "1x2x2 .. 2x34x46 .. 3x100x158" in result.output
    assert "built as FP32 100.0 %" in result.output
    assert "as the file's types ask" in result.output
    assert {path.name for path in out.parent.iterdir()} == {"m.engine", "m.engine.json"}


@pytest.mark.parametrize(("sm", "warned"), [("SM90", True), ("SM89", False)])
def test_a_portable_engine_that_this_gpu_cannot_run_is_reported(fcn, tmp_path, monkeypatch, sm, warned):
    monkeypatch.setattr("fcn_deploy.engine.builder.build.gpus", lambda: (Gpu("NVIDIA H100", sm, "13.0"),))
    result = _build(fcn, *SIZES, "-o", tmp_path / "m.engine")
    assert ("does not run on this machine's NVIDIA H100, SM90" in result.stderr) == warned
    assert ("--flavor tensorrt builds for this GPU" in result.stderr) == warned


def test_nothing_is_done_where_nothing_has_changed(fcn, tmp_path):
    out = tmp_path / "m.engine"
    _build(fcn, *SIZES, "-o", out)
    before = out.stat().st_mtime_ns
    result = _build(fcn, *SIZES, "-o", out)
    assert f"{out} is up to date" in result.output
    assert out.stat().st_mtime_ns == before
    assert "building m.engine again: --force" in _build(fcn, *SIZES, "-o", out, "--force").stderr
    assert out.stat().st_mtime_ns > before


def test_whatever_matters_makes_an_engine_stale_and_is_named(fcn, photographs, tmp_path):
    out = tmp_path / "m.engine"
    _build(fcn, "--opt", "1x34x46", "-o", out)

    def why(*arguments):
        return _build(fcn, *arguments, "-o", out).stderr

    changed = why(*SIZES, "--sm", "86,89", "--no-tf32")
    assert 'profiles was ["1x34x46 .. 1x34x46 .. 1x34x46"], now' in changed
    assert 'built for was ["portable"], now ["SM86", "SM89"]' in changed
    assert 'options was none, now {"tf32": false}' in changed
    rewritten = why(*SIZES, "--precision", "int8", "--calib", photographs)
    assert "precision was as the file has it, now int8" in rewritten
    assert "rewritten to int8 with 3 images: labels as in FP32 at 9" in rewritten
    (photographs / "0.png").unlink()
    calibrated = why(*SIZES, "--precision", "int8", "--calib", photographs)
    assert "calibration was" in calibrated
    assert "profiles" not in calibrated
    write_fcn(fcn, small_weights(seed=1))
    assert "model was" in why(*SIZES, "--precision", "int8", "--calib", photographs)
    out.write_bytes(b"something else")
    assert "is not the plan that its sidecar speaks of" in why(*SIZES, "--precision", "int8", "--calib", photographs)


def test_the_json_holds_the_sidecar_and_what_was_done(fcn, tmp_path):
    out = tmp_path / "m.engine"
    plain = json.loads(_build(fcn, *SIZES, "-o", out, "--json", "-").stdout)
    assert (plain["built"], plain["reasons"]) == (True, ["there is no m.engine yet"])
    assert {name: plain[name] for name in plain if name not in ("path", "built", "reasons")} == json.loads(
        sidecar_path(out).read_text()
    )
    assert plain["plan_bytes"] == out.stat().st_size
    assert plain["profiles"] == [{"min": [1, 2, 2], "opt": [2, 34, 46], "max": [3, 100, 158]}]
    assert plain["card"]["classes"] == ["road", "car", "sky"]
    assert json.loads(_build(fcn, *SIZES, "-o", out, "--json", "-").stdout)["built"] is False


def test_a_checkpoint_is_exported_first_and_needs_no_export_to_be_up_to_date(tmp_path, monkeypatch):
    out = tmp_path / "demo.engine"
    _build("demo", "--opt", "1x64x96", "-o", out)
    sidecar = read_sidecar(out)
    assert (sidecar.onnx_name, sidecar.inputs[0].dtype) == ("demo.safetensors", "uint8")
    monkeypatch.setattr("fcn_deploy.sources.model_source.ModelSource.onnx_file", None)
    assert "up to date" in _build("demo", "--opt", "1x64x96", "-o", out).output


RECIPE = """
name = "demo"
model = "fcn8s"
checkpoint = "demo.safetensors"
url = "https://example.org/demo.safetensors"
sha256 = "{sha256}"
keep_float = ["backbone.stage3.conv2"]
"""


def test_facts_of_a_recipe_apart_from_its_checkpoint_make_an_engine_stale(tmp_path):
    weights, recipe, out = tmp_path / "demo.safetensors", tmp_path / "demo.toml", tmp_path / "m.engine"
    weights.write_bytes(file_of("demo").read_bytes())
    text = RECIPE.format(sha256=sha256(weights))
    recipe.write_text(text)
    _build(recipe, "--opt", "1x64x96", "-o", out)
    assert "up to date" in _build(recipe, "--opt", "1x64x96", "-o", out).output
    recipe.write_text(text + "mean = [1.0, 2.0, 3.0]\n")
    assert "building m.engine again: model card was " in _build(recipe, "--opt", "1x64x96", "-o", out).stderr


def test_what_a_recipe_keeps_in_float_is_kept(tmp_path):
    weights, recipe, out = tmp_path / "demo.safetensors", tmp_path / "R.TOML", tmp_path / "m.engine"
    weights.write_bytes(file_of("demo").read_bytes())
    recipe.write_text(RECIPE.format(sha256=sha256(weights)))
    _build(recipe, "--opt", "1x64x96", "--precision", "int8", "--calib", "synthetic:1", "-o", out)
    types = {layer.precision for layer in read_sidecar(out).layers if "backbone.stage3.conv2_" in layer.name}
    assert types == {"FP32"}


def test_sizes_from_images_and_the_default_are_reported(fcn, photographs, tmp_path):
    said = _build(fcn, "--profile-from", photographs, "--max-batch", 2, "-o", tmp_path / "a.engine").stderr
    assert "profile 1x32x32 .. 1x32x32 .. 2x64x64" in said
    default = _build(fcn, "-o", tmp_path / "b.engine").stderr
    assert "profile 1x32x32 .. 1x360x480 .. 1x1080x1920 (N x H x W; the default" in default


def test_a_file_with_weights_next_to_it_and_one_with_float_input_are_built(fcn, tmp_path):
    path = tmp_path / "big.onnx"
    onnx.save(onnx.load(fcn), path, save_as_external_data=True, location="big.data", size_threshold=0)
    _build(path, *SIZES, "-o", tmp_path / "m.engine")
    first = read_sidecar(tmp_path / "m.engine")
    (tmp_path / "big.data").write_bytes((tmp_path / "big.data").read_bytes()[:-4] + b"\0\0\0\0")
    assert "model was" in _build(path, *SIZES, "-o", tmp_path / "m.engine").stderr
    assert read_sidecar(tmp_path / "m.engine").onnx_sha256 != first.onnx_sha256
    _build(write_graph(tmp_path / "f.onnx", image="float"), *SIZES, "-o", tmp_path / "f.engine")
    sidecar = read_sidecar(tmp_path / "f.engine")
    assert (sidecar.inputs[0].shape, sidecar.inputs[0].dtype, sidecar.shares) == ((-1, 3, -1, -1), "float32", None)


JUNK = {"empty": b"", "cut": None, "html": b"<html><body>404</body></html>", "zero": bytes(1 << 20), "random": None}


@pytest.mark.parametrize("kind", JUNK)
def test_a_file_that_is_not_onnx_is_refused_and_nothing_is_written(kind, fcn, tmp_path):
    content = {"cut": fcn.read_bytes()[:700], "random": np.random.default_rng(0).bytes(5000)}.get(kind, JUNK[kind])
    path = tmp_path / "x.onnx"
    path.write_bytes(content)
    with pytest.raises(GraphError, match=r"x\.onnx (is not an ONNX model|cannot be read as ONNX)"):
        _build(path, *SIZES, "-o", tmp_path / "out" / "m.engine")
    assert not (tmp_path / "out").exists()


def test_what_tensorrt_would_reject_is_reported_before_the_build(tmp_path):
    make, name = ERRORS["mixed-types"]
    with pytest.raises(GraphError, match=rf"{name}: has float inputs of different types; put a Cast before it"):
        _build(make(tmp_path / "m.onnx"), "-o", tmp_path / "m.engine")


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        (("--min", "1x9x9", "--opt", "1x8x8", "--max", "1x9x9"), EngineError, "min <= opt <= max"),
        (("--min", "1x2x2", "--max", "1x9x9"), EngineError, "or --opt alone"),
        (("--calib", "synthetic:2"), EngineError, "go with a rewrite, and none is asked for"),
        (("--keep", "conv1", "--precision", "fp32"), EngineError, "nodes to keep"),
        (("--opt", "1x34x46", "--profile-from", "synthetic:2"), EngineError, "--profile-from would have no effect"),
        (("--opt", "1x34x46", "--max-batch", "2"), EngineError, "--max-batch would have no effect"),
        (("--sm", "90"), EngineError, "it builds for 75, 80, 86, 89"),
        (("--timing-cache", "t.cache"), EngineError, "has no --timing-cache"),
        (("--refit",), EngineError, "has no --refit"),
        (("--workspace-mib", "1", "--opt", "1x34x46"), EngineError, "--workspace-mib"),
        (("--precision", "int8"), DataError, "give a data set"),
        (("--profile-from", "/nowhere"), DataError, "does not exist"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(arguments, kind, said, fcn, tmp_path):
    with pytest.raises(kind, match=said):
        _build(fcn, *arguments, "-o", tmp_path / "out" / "m.engine")
    assert not (tmp_path / "out").exists()


def test_a_size_that_cannot_be_read_is_a_usage_error(fcn, tmp_path):
    result = CliRunner().invoke(command, [str(fcn), "--opt", "0x32x32", "-o", str(tmp_path / "m.engine")])
    assert result.exit_code == 2
    assert "Invalid value for '--opt': '0x32x32' is not a batch, a height and a width above 0" in result.output


def test_sizes_beyond_what_the_file_fixes_are_refused(tmp_path):
    path = int8_conv(tmp_path / "m.onnx")
    with pytest.raises(EngineError, match="varies H, which the file fixes at 16"):
        _build(path, "--opt", "1x32x32", "-o", tmp_path / "m.engine")
    with pytest.raises(EngineError, match="--max-batch 2 cannot be had: the file fixes N at 1"):
        _build(path, "--max-batch", 2, "-o", tmp_path / "m.engine")
    _build(path, "--max-batch", 1, "-o", tmp_path / "m.engine")
    assert read_sidecar(tmp_path / "m.engine").precision == "int8"


@pytest.mark.parametrize("name", ["fcn.onnx", "link.engine", "sub/../fcn.onnx"])
def test_an_engine_never_replaces_the_model_that_it_is_built_from(name, fcn, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "link.engine").symlink_to(fcn)
    before = fcn.read_bytes()
    with pytest.raises(OutputError, match=r"is an input of this command.*, which would be lost"):
        _build(fcn, *SIZES, "-o", tmp_path / name)
    assert fcn.read_bytes() == before
    assert not (tmp_path / f"{name}.json").exists()


def test_a_file_next_to_an_engine_never_replaces_the_source(tmp_path):
    source = write_graph(tmp_path / "m.onnx").rename(tmp_path / "m.engine.json")
    with pytest.raises(OutputError, match=r"m\.engine\.json is the model itself"):
        _build(source, *SIZES, "-o", tmp_path / "m.engine")


def test_a_file_that_is_built_as_it_is_is_read_once(fcn, tmp_path, monkeypatch):
    from fcn_deploy.engine.builder import build as engine
    from fcn_deploy.engine_build import request as engine_source
    from fcn_deploy.graph.load import load_graph

    read = []

    def counted(path):
        read.append(path)
        return load_graph(path)

    monkeypatch.setattr(engine_source, "load_graph", counted)
    monkeypatch.setattr(engine, "load_graph", counted)
    _build(fcn, *SIZES, "-o", tmp_path / "m.engine")
    assert read == [fcn]


def test_a_typed_file_is_not_called_fp32(tmp_path):
    with pytest.raises(GraphError, match="is an int8 file; leave --precision out"):
        _build(int8_conv(tmp_path / "m.onnx"), "--precision", "fp32", "-o", tmp_path / "m.engine")


def test_a_folder_that_cannot_be_written_is_reported_before_the_work(fcn):
    with pytest.raises(OutputError, match="cannot write"):
        _build(fcn, *SIZES, "-o", "/proc/nowhere/m.engine")


def _start(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "fcn_deploy", "build-engine", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


def test_a_disk_that_is_full_is_one_line_and_leaves_the_old_engine(fcn, tmp_path):
    out = tmp_path / "out" / "m.engine"
    _build(fcn, *SIZES, "-o", out)
    before = out.read_bytes()
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))  # noqa: E731
    process = _start(fcn, "--opt", "1x34x46", "-o", out, preexec_fn=limit)
    _, stderr = finish(process)
    assert process.returncode == 1
    assert f"error: cannot write {out}: the file would be larger" in stderr
    assert out.read_bytes() == before
    assert matches_plan(read_sidecar(out), out)
    assert {path.name for path in out.parent.iterdir()} == {"m.engine", "m.engine.json"}


def test_ctrl_c_leaves_nothing_and_exits_130(fcn, tmp_path):
    """The whole group gets the signal, as from a terminal."""
    out = tmp_path / "out" / "m.engine"
    process = _start(fcn, *SIZES, "-o", out, start_new_session=True)
    while process.poll() is None and not list(tmp_path.glob("out/.m.engine.*.tmp")):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    started = time.monotonic()
    _, stderr = finish(process)
    assert time.monotonic() - started < 20  # at once, on a machine that others use too
    assert (process.returncode, stderr.splitlines()[-1]) == (130, "interrupted")
    assert not out.parent.exists()


def test_two_processes_at_once_leave_one_engine_with_its_own_sidecar(fcn, tmp_path):
    out = tmp_path / "out" / "m.engine"
    both = [_start(fcn, *SIZES, "-o", out) for _ in range(2)]
    results = [finish(process) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    texts = sorted(stdout.splitlines()[0] for stdout, _ in results)
    assert texts == [f"{out} is up to date", next(text for text in texts if text.startswith(f"wrote {out}"))]
    assert matches_plan(read_sidecar(out), out)
    assert {path.name for path in out.parent.iterdir()} == {"m.engine", "m.engine.json"}


def test_a_pipe_gets_the_result_and_no_bars(fcn, tmp_path):
    stdout, stderr = finish(_start(fcn, *SIZES, "-o", tmp_path / "m.engine"))
    assert stderr == ""
    assert stdout.startswith("wrote ")


def test_help_says_what_is_built_from_what():
    text = _build("--help").output
    assert "Its sidecar, FILE.json, lists its inputs and outputs" in " ".join(text.split())


def test_int8_for_turing_names_the_library_that_has_it(fcn, photographs, tmp_path):
    result = _build(
        fcn, *SIZES, "--precision", "int8", "--calib", photographs, "--sm", "75", "-o", tmp_path / "t4.engine"
    )
    assert "were not built in the type that the file asks for" in result.stderr
    assert "tensorrt_rtx has no INT8 for SM75: --flavor tensorrt has" in result.stderr
    assert re.search(r"^  \d+ layers: INT8 in the file, FP(16|32) in the engine \(", result.output, re.MULTILINE)
