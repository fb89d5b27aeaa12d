"""`fcn-deploy bench` from its command line to its table, on a small saved model."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch

from fcn_deploy.adoption.adopt import adopt
from fcn_deploy.benchmark.record.file import read_record
from fcn_deploy.errors import CheckpointError, DataError, FcnDeployError, GraphError, OutputError, UnknownNameError
from fcn_deploy.quantization.calibration.cache import graph_digest
from fcn_deploy.quantization.quantize import quantize
from tests.support.bench_model import invoke, save_small_model
from tests.support.child_process import finish
from tests.support.foreign_nets import MEAN, STD, foreign_net
from tests.support.onnx_files import write_graph
from tests.support.reference_nets import caffe_state

DATA = "synthetic:3:5:33x47"
QUICK = ["--iterations", "5", "--seconds", "60", "--warmup", "1", "--saturation", "0.02"]
TWO = ["--runners", "pytorch,onnxruntime"]


def test_a_checkpoint_is_compared_with_its_own_export(small_checkpoint, tmp_path):
    result = invoke("bench", str(small_checkpoint), "--data", DATA, *QUICK, *TWO, "--json", str(tmp_path / "run.json"))
    assert result.exit_code == 0
    record = read_record(tmp_path / "run.json")
    pytorch, ort = record.rows
    assert (pytorch.status, ort.status) == ("ok", "ok")
    assert len(pytorch.own.latency.execute_ns) == len(ort.own.latency.execute_ns) == 5
    assert pytorch.own.memory.peak_bytes > pytorch.own.memory.baseline_bytes > 0
    # the export's proof allows labels to differ only at margins of rounding
    assert ort.own.agreement.overall.agreed >= 0.999 * ort.own.agreement.overall.pixels
    assert ort.own.agreement.overall.pixels == 3 * 33 * 47
    assert sum(map(sum, ort.own.accuracy.overall)) == 3 * 33 * 47
    assert "ran an ONNX file exported from small.safetensors for this run" in ort.notes
    assert "pytorch" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_an_onnx_file_needs_no_second_file(small_onnx, tmp_path):
    alone = tmp_path / "alone.onnx"
    alone.write_bytes(small_onnx.read_bytes())
    result = invoke("bench", str(alone), "--data", DATA, *QUICK, *TWO, "--no-memory", "--json", "-")
    record = json.loads(result.stdout)
    assert [row["status"] for row in record["rows"]] == ["ok", "ok"]
    assert record["reference"]["runner"] == "pytorch"
    assert record["rows"][1]["measurements"][0]["summary"]["delta_points"] == pytest.approx(0, abs=0.1)


def test_an_onnx_file_of_another_tool_is_measured_and_pytorch_is_skipped(tmp_path):
    path = write_graph(tmp_path / "foreign.onnx", card=None)
    result = invoke("bench", str(path), "--data", DATA, *QUICK, *TWO, "--no-memory", "--json", "-")
    rows = json.loads(result.stdout)["rows"]
    assert [(row["runner"], row["status"]) for row in rows] == [("pytorch", "skipped"), ("onnxruntime", "ok")]
    assert "holds no model card" in rows[0]["reason"]
    assert result.exit_code == 0


def test_several_files_are_compared_with_the_first(small_onnx, tmp_path):
    """Without --runners each runs as it is; the table has a line for each file, and fits 100 columns."""
    int8 = tmp_path / "small.int8.onnx"
    quantize(small_onnx, int8, precision="int8", calibration="synthetic:4:9:33x47", target="cpu")
    files = ["bench", str(small_onnx), str(int8), "--data", DATA, *QUICK, "--no-memory"]
    run = tmp_path / "run.json"
    result = invoke(
        *files, "--json", str(run), "--csv", str(tmp_path / "run.csv"), "--html", str(tmp_path / "run.html")
    )
    record = read_record(run)
    rows = {row.name: row for row in record.rows}
    assert {"small pytorch", "small onnxruntime", "small.int8 onnxruntime"} <= set(rows)
    assert "small.int8 pytorch" not in rows
    assert record.reference.name == "small pytorch"
    assert rows["small.int8 onnxruntime"].own.agreement.overall.pixels == 3 * 33 * 47
    assert "\nsmall.int8 " in result.stdout
    assert "\n  onnxruntime" in result.stdout
    assert "small.int8 onnxruntime" in (tmp_path / "run.html").read_text()
    head, *lines = (tmp_path / "run.csv").read_text().splitlines()
    assert head.endswith(",file")
    assert lines[-1].endswith(",small.int8")
    assert max(map(len, result.stdout.splitlines())) <= 100
    other = invoke(*files, "--reference", str(int8), "--runners", "onnxruntime", "--json", "-")
    assert json.loads(other.stdout)["reference"]["file"] == "small.int8"


def test_a_rewritten_file_is_compared_with_the_file_that_it_was_made_from(small_onnx, tmp_path):
    own, int8 = tmp_path / "fcn8s.onnx", tmp_path / "searched.onnx"
    own.write_bytes(small_onnx.read_bytes())
    quantize(own, int8, precision="int8", calibration="synthetic:4:9:33x47", target="cpu")
    arguments = ("bench", str(int8), "--data", DATA, *QUICK, "--no-memory", "--runners", "onnxruntime", "--json", "-")
    record = json.loads(invoke(*arguments).stdout)
    (row,) = record["rows"]
    assert (record["reference"]["file"], record["reference"]["runner"]) == ("fcn8s", "pytorch")
    assert row["measurements"][0]["agreement"]["overall"]["pixels"] == 3 * 33 * 47
    assert row["measurements"][0]["summary"]["delta_points"] is not None
    assert "compared with fcn8s.onnx, from which searched.onnx was made" in record["reference_reason"]
    own.unlink()
    record = json.loads(invoke(*arguments).stdout)
    assert record["reference"] is None
    assert "--reference names the file that it was made from, fcn8s.onnx" in record["reference_reason"]


def test_an_adopted_file_is_the_reference_of_what_is_made_of_it(tmp_path):
    """PyTorch has no network of it: its own row of ONNX Runtime stands for that."""
    adopted, half = tmp_path / "adopted.onnx", tmp_path / "half.onnx"
    adopt(foreign_net(tmp_path / "net.onnx"), adopted, mean=MEAN, std=STD)
    quantize(adopted, half, precision="fp16")
    arguments = ("--data", DATA, *QUICK, "--no-memory", "--runners", "onnxruntime", "--json", "-")
    own = json.loads(invoke("bench", str(adopted), "--max-images", "2", *arguments[2:]).stdout)
    assert (own["reference"]["runner"], own["reference"]["file"]) == ("onnxruntime", "")
    made = json.loads(invoke("bench", str(half), "--max-images", "2", *arguments[2:]).stdout)
    assert (made["reference"]["runner"], made["reference"]["file"]) == ("onnxruntime", "adopted")
    assert made["rows"][0]["measurements"][0]["agreement"]["overall"]["pixels"] > 0


def test_files_of_other_classes_do_not_share_a_table(small_onnx, tmp_path):
    other = save_small_model(tmp_path / "other.safetensors", ("cat", "dog"))
    with pytest.raises(DataError, match=r"has 8 classes \(sky, .*\) and .*other\.safetensors has 2 \(cat, dog\)"):
        invoke("bench", str(small_onnx), str(other), "--data", DATA)


def test_precisions_are_made_for_the_occasion_and_measured_like_the_rest(small_onnx):
    runners = ["--runners", "pytorch,onnxruntime:fp16,onnxruntime:int8", "--calib", "synthetic:4:9:33x47"]
    result = invoke("bench", str(small_onnx), "--data", DATA, *QUICK, *runners, "--no-memory", "--json", "-")
    assert result.exit_code == 0
    pytorch, half, int8 = json.loads(result.stdout)["rows"]
    assert [row["status"] for row in (pytorch, half, int8)] == ["ok"] * 3
    assert pytorch["built"] is None
    assert half["built"]["shares"] == {"FP16": 1.0}
    assert int8["built"]["shares"]["INT8"] > 0.7  # the narrow first layer, scores and upsampling stay in float
    assert len({half["built"]["sha256"], int8["built"]["sha256"]}) == 2
    assert len(half["built"]["sha256"]) == 64
    assert half["built"]["size_bytes"] < small_onnx.stat().st_size
    assert int8["measurements"][0]["agreement"]["overall"]["pixels"] == 3 * 33 * 47
    assert sorted(path.name for path in small_onnx.parent.iterdir()) == ["small.onnx", "small.safetensors"]


def test_keep_leaves_the_files_of_the_rows_and_never_replaces_one_without_force(small_checkpoint, tmp_path):
    out = tmp_path / "out"
    runners = ["--runners", "pytorch,onnxruntime,onnxruntime:int8", "--calib", "synthetic:4:9:33x47"]
    arguments = ["bench", str(small_checkpoint), "--data", DATA, *QUICK, *runners, "--no-memory", "--keep", str(out)]
    whole = json.loads(invoke(*arguments, "--json", "-").stdout)
    assert sorted(path.name for path in out.iterdir()) == ["small.int8.cpu.onnx", "small.onnx"]
    int8 = whole["rows"][2]
    assert int8["opened"]["kept"] == str(out / "small.int8.cpu.onnx")
    assert graph_digest(out / "small.int8.cpu.onnx") == int8["built"]["sha256"]
    with pytest.raises(OutputError, match=r"small.*\.onnx exists; --force replaces it"):
        invoke(*arguments)
    # the command of the record makes the same graph; its card names another file as the one that it was made from
    _, *command = shlex.split(int8["opened"]["command"])
    again = tmp_path / "again.onnx"
    assert invoke(*command[:-1], str(again)).exit_code == 0
    assert onnx.load(again).graph == onnx.load(out / "small.int8.cpu.onnx").graph
    assert invoke("bench", "demo", "--force").exit_code == 2


def test_engines_are_built_and_their_rows_say_why_they_did_not_run(small_onnx):
    pytest.importorskip("tensorrt_rtx", reason="the builder of TensorRT for RTX is not installed")
    runners = ["--runners", "pytorch,tensorrt:int8+fp16", "--calib", "synthetic:4:9:33x47"]
    result = invoke("bench", str(small_onnx), "--data", DATA, *QUICK, *runners, "--no-memory", "--json", "-")
    engine = json.loads(result.stdout)["rows"][1]
    assert engine["built"]["kind"] == "engine"
    assert len(engine["built"]["sha256"]) == 64
    assert set(engine["built"]["shares"]) == {"INT8", "FP16"}
    assert engine["built"]["where"].endswith("1x32x32 .. 1x32x32 .. 1x64x64")
    if not torch.cuda.is_available():
        assert engine["status"] == "built"
        assert engine["reason"]
    assert result.exit_code == 0


def test_int8_without_images_to_calibrate_with_is_refused_before_any_work(small_onnx):
    with pytest.raises(DataError, match=r"onnxruntime:int8 needs images to calibrate with.*--calib"):
        invoke("bench", str(small_onnx), "--data", DATA, "--runners", "onnxruntime:int8")


def test_the_model_can_be_named_where_the_keys_leave_a_choice(tmp_path):
    path = tmp_path / "net.pth"
    torch.save(caffe_state("fcn8s-caffe", classes=8), path)
    options = ["--model", "fcn8s-atonce-caffe", "--runners", "pytorch", "--no-memory", "--json", "-"]
    result = invoke("bench", str(path), "--data", DATA, *QUICK, *options)
    record = json.loads(result.stdout)
    assert record["model"]["card"]["model"] == "fcn8s-atonce-caffe"
    assert "read as" not in result.stderr


def test_a_provider_that_cannot_start_is_skipped_with_its_reason_and_the_rest_goes_on(small_onnx):
    if torch.cuda.is_available() or "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("needs an onnxruntime built with CUDA on a machine without a GPU")
    runners = "onnxruntime:cuda,onnxruntime,pytorch:cuda"
    result = invoke("bench", str(small_onnx), "--data", DATA, *QUICK, "--no-memory", "--runners", runners)
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    assert "onnxruntime:cuda skipped: CUDAExecutionProvider did not start" in text
    assert "pytorch:cuda skipped: PyTorch" in text
    assert "onnxruntime ok" in text or "onnxruntime unstable" in text  # as busy as the machine is


def test_a_model_of_other_classes_runs_on_generated_images_by_default(tmp_path):
    model = save_small_model(tmp_path / "m.safetensors", ("cat", "dog"))
    result = invoke("bench", str(model), "--max-images", "2", *QUICK, "--no-memory", "--runners", "pytorch")
    assert result.exit_code == 0
    assert "without their labels" in result.stderr
    with pytest.raises(DataError, match="the model has 2 classes"):
        invoke("bench", str(model), "--data", DATA, *QUICK)


def other_classes(folder: Path) -> list[str]:
    return ["bench", str(save_small_model(folder / "m.safetensors", ("cat", "dog"))), "--data", DATA]


def truncated(folder: Path) -> list[str]:
    path = save_small_model(folder / "m.safetensors")
    path.write_bytes(path.read_bytes()[:-100])
    return ["bench", str(path)]


def junk(folder: Path) -> list[str]:
    (folder / "m.onnx").write_bytes(b"<html>")
    return ["bench", str(folder / "m.onnx")]


def unwritable(folder: Path) -> list[str]:
    (folder / "file").write_text("")
    return ["bench", str(save_small_model(folder / "m.safetensors")), "--json", str(folder / "file" / "run.json")]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (lambda folder: ["bench", str(folder / "none.onnx")], GraphError),
        (lambda folder: ["bench", str(folder / "none.pth")], CheckpointError),
        (truncated, CheckpointError),
        (junk, GraphError),
        (other_classes, DataError),
        (unwritable, OutputError),
        (lambda folder: ["bench", "demo", "--runners", "pytroch"], UnknownNameError),
    ],
)
def test_bad_input_is_one_line(arguments, error, tmp_path):
    with pytest.raises(FcnDeployError) as caught:
        invoke(*arguments(tmp_path))
    assert caught.type is error
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.rglob("*.json*"))


def test_no_runners_is_a_usage_error(small_onnx):
    assert invoke("bench", str(small_onnx), "--runners", ",").exit_code == 2


@pytest.mark.parametrize("name", ["bench", "evaluate"])
def test_more_threads_than_a_backend_survives_are_a_usage_error(name):
    result = invoke(name, "demo", "--threads", "10000000")
    assert result.exit_code == 2
    assert "10000000 is not in the range 1<=x<=1024" in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C reaches a Windows process by other ways")
def test_ctrl_c_leaves_nothing_behind(small_onnx, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [
        sys.executable,
        "-m",
        "fcn_deploy",
        "bench",
        str(small_onnx),
        "--data",
        DATA,
        "--json",
        str(tmp_path / "run.json"),
    ]
    process = subprocess.Popen(
        [*command, *TWO, "--no-memory", "--seconds", "60", "--iterations", "1000000"],
        stderr=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(scratch)},
    )  # fmt: skip
    for line in process.stderr:
        if line.startswith("timing"):
            break
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    rest = finish(process)[1]
    assert process.returncode == 130
    assert rest.strip() == "interrupted"
    assert [path.name for path in tmp_path.iterdir()] == ["scratch"]
    assert list(scratch.glob("fcn-deploy-*")) == []


@pytest.mark.parametrize("name", ["bench", "evaluate"])
def test_help_imports_nothing_heavy(name):
    code = (
        "import sys\nfrom fcn_deploy.cli.main import cli\n"
        f"cli(['{name}', '--help'], standalone_mode=False)\n"
        "print(sorted({'torch', 'onnx', 'onnxruntime', 'numpy', 'rich', 'PIL', 'psutil'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "--data" in done.stdout
