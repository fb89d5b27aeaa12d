"""Run what `verdicts` measures once, in a process of its own."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.benchmark.record import types as rec
from fcn_deploy.benchmark.record.file import write_record
from fcn_deploy.benchmark.record.measurement import Measurement
from fcn_deploy.benchmark.timing.latency import Budget, measure
from fcn_deploy.benchmark.timing.machine import CpuClock, other_cores
from fcn_deploy.benchmark.timing.timed_runner import InProcess
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.registry import distributions
from fcn_deploy.system.environment import describe_environment
from fcn_deploy.system.process import answer_parent
from fcn_deploy.vocabulary import LABELS

ONE, SAME, SLOWER = "pytorch", "one", "slower"  # the first takes the place of the reference
THREADS = 1
IMAGE = np.zeros((1, 33, 47, 3), np.uint8)


class Multiplier(Runner):
    """Runner whose inference is a number of products of square matrices; copies the image in and a channel out."""

    def __init__(self, name: str, products: int, side: int) -> None:
        super().__init__(name, None)
        generator = np.random.default_rng(0)
        self._products = products
        self._left, self._right = generator.standard_normal((2, side, side), np.float32)
        self._result = np.empty_like(self._left)

    def _upload(self, image: NDArray[np.uint8]) -> None:
        self._image = image.copy()

    def _execute(self) -> None:
        for _ in range(self._products):
            np.matmul(self._left, self._right, out=self._result)

    def _download(self) -> dict[str, NDArray[Any]]:
        return {LABELS: self._image[..., 0].copy()}

    def _close(self) -> None:
        pass


def run(products: int, slower: int, side: int, seconds: float) -> rec.Record:
    """Return the record of three runners in turn, timed as `bench` times by default."""
    work = {ONE: products, SAME: products, SLOWER: slower}
    budget = Budget(seconds=seconds)
    before = CpuClock.read()
    rounds, samples = measure([Multiplier(name, count, side) for name, count in work.items()], [IMAGE], budget)
    others = other_cores(before, CpuClock.read())
    return rec.Record(
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        model=rec.BenchmarkedModel("products", "0" * 64, 0, None),
        data=rec.Data("zeros", (), 1, 0, 0, ((*IMAGE.shape[1:3], 1),)),
        settings=rec.Settings(
            budget.iterations, budget.seconds, budget.warmup, budget.settle_ms, 1, THREADS, 0,
            tolerance=budget.tolerance,
        ),
        environment=describe_environment(THREADS, distributions()),
        shapes=(IMAGE.shape[:3],),
        rounds=tuple(rounds),
        reference=rec.Reference(ONE, None),
        reference_reason="",
        rows=tuple(
            rec.Row(name, "ok", measurements=(Measurement(latency=one.latency()),))
            for name, one in zip(work, samples, strict=True)
        ),
        other_cores=others,
    )  # fmt: skip


def harness_ns(calls: int = 1000) -> float:
    """Median time of an inference that multiplies nothing: checks, clocks, two small copies."""
    with Multiplier("idle", 0, 1) as idle:
        timed = InProcess(idle)
        return float(np.median([timed.time(IMAGE).total_ns for _ in range(calls)]))


if __name__ == "__main__":
    answer_parent(lambda request, send: write_record(Path(request[0]), run(*request[1:])))
