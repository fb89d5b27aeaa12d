"""Sizes, batches and processes of `fcn-deploy bench`, on a small saved model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from fcn_deploy.system.files import sha256
from tests.support.bench_model import invoke

DATA = ["--data", "synthetic:3:5:33x47"]
QUICK = [
    "--iterations",
    "4",
    "--seconds",
    "60",
    "--warmup",
    "1",
    "--saturation",
    "0.02",
    "--no-memory",
    "--threads",
    "1",
    "--json",
    "-",
]


@pytest.fixture
def checkpoint(small_checkpoint: Path) -> str:
    return str(small_checkpoint)


def rows(*arguments: str) -> list[dict[str, Any]]:
    result = invoke("bench", *arguments, *DATA, *QUICK)
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)["rows"]
    return found


def test_runners_in_their_own_processes_are_timed_at_every_size_and_batch(checkpoint):
    grid = ["--image-sizes", "33x47,40x70", "--batch", "1,2", "--isolate"]
    for row in rows(checkpoint, "--runners", "pytorch,onnxruntime", *grid):
        assert row["status"] == "ok", row["reason"]
        own, *resized = row["measurements"]
        assert [found["shape"] for found in resized] == [[1, 33, 47], [2, 33, 47], [1, 40, 70], [2, 40, 70]]
        assert all(len(found["latency"]["execute_ns"]) == 4 for found in resized)
        assert all(found["saturated"]["images"] >= found["shape"][0] for found in resized)
        assert [sum(map(sum, found["accuracy"]["overall"])) for found in resized] == [3 * 33 * 47] * 2 + [3 * 2800] * 2
        assert resized[0]["accuracy"]["overall"] == own["accuracy"]["overall"]


def test_an_engine_is_built_for_every_cell(checkpoint):
    pytest.importorskip("tensorrt_rtx", reason="the builder of TensorRT for RTX is not installed")
    engine = rows(checkpoint, "--runners", "pytorch,tensorrt:fp16", "--image-sizes", "40x70", "--batch", "1,4")[1]
    assert engine["built"]["kind"] == "engine", engine["reason"]


def test_half_size_is_scored_on_full_size_labels_by_a_file_that_its_command_makes_again(
    shell, small_onnx, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    shutil.copy(small_onnx, "m.onnx")
    rows_and_sizes = ("--runners", "pytorch,onnxruntime", "--sizes", "0.5,1")
    done = shell("bench", "m.onnx", *DATA, *QUICK[:-2], *rows_and_sizes, "--json", "found.json", "--keep", "kept")
    assert done.code == 0, done.err
    found = json.loads(Path("found.json").read_text())
    assert [row["file"] for row in found["rows"]] == ["m", "m", "m at 0.5", "m at 0.5"]
    counted = {sum(map(sum, row["measurements"][0]["accuracy"]["overall"])) for row in found["rows"]}
    assert counted == {3 * 33 * 47}
    torch_row, onnx_row = found["answer"]["sizes"]
    assert (torch_row["runner"], onnx_row["runner"], onnx_row["size"]) == ("pytorch", "onnxruntime", "0.5")
    assert onnx_row["change"]["low"] <= onnx_row["change"]["value"] <= onnx_row["change"]["high"]
    assert onnx_row["change"]["value"] == pytest.approx(torch_row["change"]["value"], abs=0.01)
    assert "\nsize       0.5 in pytorch: " in done.out
    command = found["rows"][3]["opened"]["command"]
    assert command == "fcn-deploy export m.onnx --network-size 0.5 -o m-0.5.onnx"
    assert shell(*command.split()[1:]).code == 0
    assert sha256(Path("m-0.5.onnx")) == sha256(Path("kept/m-0.5.onnx")) == found["others"][0]["sha256"]
    refused = shell("bench", "m.onnx", "m-0.5.onnx", *DATA, "--sizes", "0.5")
    assert (refused.code, "there are 2 files; give one" in refused.err) == (1, True)
