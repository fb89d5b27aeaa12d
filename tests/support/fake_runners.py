"""Runners that stand in for devices: their labels, failures and the time of each step are given."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from fcn_deploy.errors import RunnerError
from fcn_deploy.runners.base import Runner
from fcn_deploy.vocabulary import LABELS, LOGITS

MS = 1_000_000


class FakeClock:
    """Nanoseconds that pass only when somebody says so."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


class FakeRunner(Runner):
    """The label of a pixel is its red value, changed by `change`; each step takes its milliseconds on `clock`.

    Logits are 1 for the label and 0 elsewhere, for `num_classes` classes. From inference `fail_at` on, it raises.
    `sleep_s` passes in execute on the real clock.
    """

    def __init__(
        self,
        name: str = "fake",
        *,
        change: Callable[[Any], Any] = lambda labels: labels,
        steps_ms: tuple[float, float, float] = (0, 0, 0),
        clock: FakeClock | None = None,
        fail_at: int | None = None,
        log: list[str] | None = None,
        card: Any = None,
        num_classes: int = 4,
        sleep_s: float = 0,
    ) -> None:
        super().__init__(name, card)
        self._change, self._steps_ms, self._clock = change, steps_ms, clock or FakeClock()
        self._fail_at, self._log, self._num_classes = fail_at, log if log is not None else [], num_classes
        self._sleep_s = sleep_s
        self.shapes: list[tuple[int, ...]] = []

    def _upload(self, image: Any) -> None:
        self._log.append(self.name)
        self.shapes.append(image.shape)
        self._image = image
        self._clock.now += int(self._steps_ms[0] * MS)

    def _execute(self) -> None:
        if self._fail_at is not None and len(self.shapes) >= self._fail_at:
            raise RunnerError(f"{self.name} ran out of memory")
        self._clock.now += int(self._steps_ms[1] * MS)
        time.sleep(self._sleep_s)

    def _download(self) -> dict[str, Any]:
        self._clock.now += int(self._steps_ms[2] * MS)
        labels = self._change(self._image[..., 0].copy())
        logits = np.eye(self._num_classes, dtype=np.float32)[labels].transpose(0, 3, 1, 2)
        results = {LABELS: labels, LOGITS: logits}
        return {name: results[name] for name in self.output_names}

    def _close(self) -> None:
        self._log.append(f"{self.name} closed")


class Sleeper(FakeRunner):
    """Sleeps in one of the three steps."""

    def __init__(self, step: str, seconds: float = 0.005) -> None:
        super().__init__(f"sleeps in {step}")
        self._step, self._seconds = step, seconds

    def _sleep(self, step: str) -> None:
        if step == self._step:
            time.sleep(self._seconds)

    def _upload(self, image: Any) -> None:
        self._sleep("upload")
        super()._upload(image)

    def _execute(self) -> None:
        self._sleep("execute")

    def _download(self) -> dict[str, Any]:
        self._sleep("download")
        return super()._download()
