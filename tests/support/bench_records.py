"""A benchmark record made by hand: 4 rounds of 2 x 33 x 47, two classes, figures easy to work out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fcn_deploy.benchmark.record import types as rec
from fcn_deploy.benchmark.record.measurement import (
    Accuracy,
    Agreed,
    Agreement,
    Latency,
    MarginAgreed,
    Measurement,
    Memory,
    StepTimes,
)

MS = 1_000_000
ROUNDS = 40  # of the rows that `timed` makes
# true 0: 90 right, 10 as 1; true 1: 100 right -> IoU 90/100 and 100/110
REFERENCE = Accuracy(((90, 10), (0, 100)), ((10, 10), (0, 20)), images=2)
# class 0 loses 40 more -> IoU 50/100 and 100/150
WORSE = Accuracy(((50, 50), (0, 100)), ((5, 15), (0, 20)), images=2)


def latency(execute_ms: tuple[int, ...]) -> Latency:
    """1 ms up, 2 ms down."""
    return Latency(
        (1 * MS,) * len(execute_ms),
        tuple(ms * MS for ms in execute_ms),
        (2 * MS,) * len(execute_ms),
        (500 * MS, 90 * MS),
    )


AGREEMENT = Agreement(
    Agreed(99_999, 100_000),
    Agreed(9_000, 10_000),
    (MarginAgreed(0.0, 0.25, 1_999, 2_000), MarginAgreed(0.25, None, 98_000, 98_000)),
    0.125,
)


def bench_row(
    name: str,
    status: rec.Status = "ok",
    reason: str = "",
    *,
    notes: tuple[str, ...] = (),
    built: rec.Built | None = None,
    resized: tuple[Measurement, ...] = (),
    file: str = "",
    **own: Any,
) -> rec.Row:
    """A row; `own` is what was measured on the data set's own sizes."""
    measurements = (*((Measurement(**own),) if own else ()), *resized)
    return rec.Row(name, status, reason, notes, built, measurements, file)


def remeasured(row: rec.Row, *, resized: tuple[Measurement, ...] | None = None, **own: Any) -> rec.Row:
    """The row with parts of its own measurement changed, or with other measurements on resized images."""
    found = replace(row.own, **own)
    measurements = (*(() if found == Measurement() else (found,)), *(row.resized if resized is None else resized))
    return replace(row, measurements=measurements)


ROWS = (
    bench_row("pytorch", latency=latency((37, 37, 37, 37)), memory=Memory(300 << 20, 200 << 20), accuracy=REFERENCE),
    bench_row(
        "onnxruntime",
        notes=("normalises the image on the host (in upload)",),
        latency=latency((17, 17, 17, 47)),
        memory=Memory(100 << 20, 60 << 20),
        accuracy=WORSE,
        agreement=AGREEMENT,
    ),
    bench_row("onnxruntime:cuda", "skipped", "CUDAExecutionProvider did not start: libcublasLt.so.13"),
    bench_row("onnxruntime:tensorrt", "failed", "ran out of memory"),
    bench_row(
        "tensorrt:int8",
        "built",
        "libcuda.so.1 is missing",
        built=rec.Built("engine", 2_400_000, 1.25, {"INT8": 0.964, "FP32": 0.036}, "tensorrt_rtx 1.7, portable"),
    ),
)

RECORD = rec.Record(
    created="2026-01-02T03:04:05+00:00",
    model=rec.BenchmarkedModel("m.onnx", "0" * 64, 1234, {"model": "fcn8s", "classes": ["road", "pole"]}),
    data=rec.Data("list.txt", ("road", "pole"), 2, 2, 1, ((33, 47, 2),)),
    settings=rec.Settings(500, 20.0, 3, 10.0, 2, 2, 3),
    environment={
        "cpu": "Some CPU",
        "cores": {"physical": 2, "logical": 4},
        "packages": {"torch": "2.9", "onnxruntime": "1.30"},
        "gpus": [],
    },
    shapes=((2, 33, 47),),
    rounds=(0, 0, 0, 0),
    reference=rec.Reference("pytorch", REFERENCE),
    reference_reason="",
    rows=ROWS,
)


def with_rows(*rows: rec.Row) -> rec.Record:
    return replace(RECORD, rows=rows)


def counted(*matrices: tuple[tuple[int, ...], ...]) -> Accuracy:
    """One 2 x 2 matrix an image; nothing near a boundary."""
    overall = tuple(tuple(int(count) for count in line) for line in np.sum(matrices, axis=0))
    return Accuracy(overall, ((0, 0), (0, 0)), len(matrices), matrices)


def against(before: Accuracy, after: Accuracy, **changes) -> tuple[rec.Record, rec.Row]:
    row = remeasured(ROWS[1], accuracy=after, **changes)
    rows = (remeasured(ROWS[0], accuracy=before), row)
    return replace(RECORD, reference=rec.Reference("pytorch", before), rows=rows), row


def timed(upload: float, execute: float, download: float, *, noise: float = 0.01, busy: float | None = None):
    """Milliseconds of the steps, `noise` on the execution; `busy`: what the device says it worked."""
    normal = np.random.default_rng(int(7 * execute)).standard_normal(ROUNDS)
    factors = 1 + noise * (normal - np.median(normal))
    columns = (np.full(ROUNDS, upload), execute * factors, np.full(ROUNDS, download))
    steps = [tuple(int(ms * MS) for ms in column) for column in columns]
    device = None if busy is None else StepTimes((0,) * ROUNDS, (int(busy * MS),) * ROUNDS, (0,) * ROUNDS)
    return Latency(*steps, (), device)


def row(name: str = "onnxruntime", latency=None, **changes) -> rec.Row:
    return bench_row(name, latency=latency or timed(1, 17, 2), **changes)
