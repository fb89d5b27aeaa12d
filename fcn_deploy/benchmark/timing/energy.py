"""Read how many joules GPUs and processors have used, by counters of their own.

NVML's counter (nvmlDeviceGetTotalEnergyConsumption, Volta and later) and RAPL's (the Linux kernel's Power Capping
Framework) are of the whole device, idle power and other programs included. Most systems let root alone read RAPL's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from fcn_deploy.benchmark.timing.machine import GpuWatch

POWERCAP = Path("/sys/class/powercap")
Joules = dict[str, float]
Result = TypeVar("Result")


class RaplPackage:
    """The counter of one processor package, which starts again at `limit` microjoules."""

    def __init__(self, folder: Path) -> None:
        """Raise OSError where it may not be read, ValueError where it is none."""
        self._file = folder / "energy_uj"
        self._limit = int((folder / "max_energy_range_uj").read_text())
        self._last, self._total = int(self._file.read_text()), 0

    def joules(self) -> float:
        """Return the joules since it was opened; it must be read before the counter comes round twice."""
        now = int(self._file.read_text())
        self._total += (now - self._last) % (self._limit + 1)
        self._last = now
        return self._total / 1e6


class EnergyMeter:
    """The counters that this machine has: "gpu 0" and on, and "cpu" for all packages together."""

    def __init__(self, gpus: GpuWatch | None, powercap: Path = POWERCAP) -> None:
        """Open RAPL's; those of GPUs are read by `gpus`."""
        self._gpus = gpus
        self._packages: list[RaplPackage] = []
        for folder in sorted(powercap.glob("*-rapl:*")):
            with suppress(OSError, ValueError):
                if (folder / "name").read_text().startswith("package"):
                    self._packages.append(RaplPackage(folder))

    @classmethod
    def without(cls) -> EnergyMeter:
        """Return a meter of no counter."""
        return cls(None, Path())

    def read(self) -> Joules:
        """Return the joules of each counter so far; {} where there is none."""
        gpus = {} if self._gpus is None else self._gpus.joules()
        found = {f"gpu {index}": joules for index, joules in gpus.items()}
        with suppress(OSError):
            if self._packages:
                found["cpu"] = sum(package.joules() for package in self._packages)
        return found

    def around(self, call: Callable[[], tuple[Result, float]]) -> tuple[tuple[Result, float], Joules]:
        """Return what `call` returns, whose second part are the seconds that count, and the joules of those seconds.

        A call takes longer than what counts of it, warm-up included; its power is taken to be the same throughout.
        """
        before, started = self.read(), time.perf_counter()
        found = call()
        after, wall = self.read(), time.perf_counter() - started
        share = min(found[1] / wall, 1.0) if wall > 0 else 0.0
        return found, {name: share * (after[name] - before[name]) for name in before.keys() & after.keys()}


def added(parts: list[Joules]) -> Joules:
    """Return the sum of each counter that all parts have."""
    names = set.intersection(*map(set, parts)) if parts else set()
    return {name: sum(part[name] for part in parts) for name in sorted(names)}
