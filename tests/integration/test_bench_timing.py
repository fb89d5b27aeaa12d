"""Sizes, batches and processes of `fcn-deploy bench`, on a small saved model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

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
    grid = ["--sizes", "33x47,40x70", "--batch", "1,2", "--isolate"]
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
    engine = rows(checkpoint, "--runners", "pytorch,tensorrt:fp16", "--sizes", "40x70", "--batch", "1,4")[1]
    assert engine["built"]["kind"] == "engine", engine["reason"]
