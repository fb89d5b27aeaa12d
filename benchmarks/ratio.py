"""Time several ways to the same result in one run, turn by turn, and keep every sample."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

from fcn_deploy.files import write_text

RESULTS = Path(__file__).parent / "results"
WARM_UPS = 3


def time_ms(cases: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each call: `rounds` rounds, each case once a round, so that a busy spell meets them all."""
    for _ in range(WARM_UPS):
        for call in cases.values():
            call()
    samples: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, call in cases.items():
            start = time.perf_counter_ns()
            call()
            samples[name].append((time.perf_counter_ns() - start) / 1e6)
    return samples


def row(question: str, samples: Mapping[str, Sequence[float]], ours: str) -> dict[str, Any]:
    """A record of one question: raw samples, medians, and how many times faster `ours` is than each other."""
    medians = {name: statistics.median(values) for name, values in samples.items()}
    faster = {name: medians[name] / medians[ours] for name in medians if name != ours}
    return {"question": question, "ours": ours, "median_ms": medians, "times_faster": faster, "samples_ms": samples}


def render(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line a case: median and ratio."""
    lines = []
    for record in rows:
        lines.append(record["question"])
        for name, median in record["median_ms"].items():
            ratio = record["times_faster"].get(name)
            versus = "" if ratio is None else f"   {record['ours']} is {ratio:.1f} times as fast"
            lines.append(f"  {name:48} {median:9.3f} ms{versus}")
    return "\n".join(lines)


def write(
    name: str, rows: Sequence[Mapping[str, Any]], packages: Sequence[str], facts: Mapping[str, Any] | None = None
) -> Path:
    """Write the rows with their circumstances under a new name in `results`; earlier results stay.

    Args:
        facts: what else a reader must know; without them, how the rows were timed.
    """
    facts = {"warm_ups": WARM_UPS} if facts is None else facts
    record = {"schema": 1, "benchmark": name, **facts, "machine": _machine(), "rows": rows}
    record["packages"] = {package: metadata.version(package) for package in packages}
    path = _new_path(name)
    write_text(path, json.dumps(record, indent=1) + "\n")
    return path


def _new_path(name: str) -> Path:
    stem, number = f"{date.today().isoformat()}-{name}", 1
    path = RESULTS / f"{stem}.json"
    while path.exists():
        number += 1
        path = RESULTS / f"{stem}-{number}.json"
    return path


def _machine() -> dict[str, Any]:
    load = os.getloadavg() if hasattr(os, "getloadavg") else None
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "load_average": load,
        "platform": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
