"""Examine what this machine and this installation can do, each package in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

from fcn_deploy.doctor import probes as doctor_probes
from fcn_deploy.doctor.probes import ProbeResult
from fcn_deploy.doctor.verdicts import CapabilityVerdict, misfits, remarks, verdicts
from fcn_deploy.runners.registry import distributions
from fcn_deploy.system.environment import cpu_model, package_versions
from fcn_deploy.system.process import ChildError, run_in_child, usable_cores
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.system.serialization.plain import plain

TIMEOUT_S = 60.0  # a healthy probe takes 3 s at most; TensorRT's first build on a GPU may take 20
AT_A_TIME = 4
PACKAGES = (
    "torch", "onnx", "onnx-ir", "onnxscript", "onnxruntime", "onnxruntime-gpu", "numpy", "protobuf", "safetensors",
    "Pillow", "tensorrt", "tensorrt-cu13", "tensorrt-cu12", "tensorrt-rtx",
    "onnxruntime-ep-nv-tensorrt-rtx", "pycuda", "cuda-bindings",
)  # fmt: skip


@dataclass(frozen=True)
class Examination:
    """All findings by probe, what does not fit together, and a verdict for each capability.

    Attributes:
        machine: processor, cores and versions of the packages that are installed.
        remarks: what breaks nothing here, but may elsewhere.
    """

    machine: Mapping[str, Any]
    findings: Mapping[str, ProbeResult]
    misfits: tuple[str, ...]
    verdicts: tuple[CapabilityVerdict, ...]
    seconds: float
    remarks: tuple[str, ...] = ()

    @property
    def broken(self) -> bool:
        """Whether anything fails that needs neither GPU nor optional package."""
        return any(verdict.core and not verdict.able for verdict in self.verdicts)

    def to_plain(self) -> dict[str, Any]:
        """Return the findings and verdicts as JSON holds them."""
        return {**plain(self), "broken": self.broken}


def examine(progress: Progress = SILENT) -> Examination:
    """Ask every package, which takes about 3 s, and judge the answers."""
    started = time.monotonic()
    findings = ask_all(tuple(doctor_probes.probes()), progress, TIMEOUT_S)
    versions = package_versions(tuple(dict.fromkeys((*PACKAGES, *distributions()))))
    machine = {"cpu": cpu_model(), "cores": usable_cores(), "python": sys.version.split()[0], "packages": versions}
    judged = misfits(findings, versions), verdicts(findings)
    return Examination(machine, findings, *judged, time.monotonic() - started, remarks(findings, versions))


def ask_all(names: Sequence[str], progress: Progress, timeout_s: float) -> dict[str, ProbeResult]:
    """Run the probes a few at a time; on Ctrl-C the children go too."""
    children: list[subprocess.Popen[bytes]] = []
    findings = {}
    with ThreadPoolExecutor(min(AT_A_TIME, os.cpu_count() or 1)) as pool, progress.task("asking", len(names)) as task:
        waiting = {pool.submit(_ask, name, timeout_s, children): name for name in names}
        try:
            for future in as_completed(waiting):
                findings[waiting[future]] = future.result()
                task.advance(note=waiting[future])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in children:
                child.kill()
            raise
    return {name: findings[name] for name in names}


def _ask(name: str, timeout_s: float, children: list[subprocess.Popen[bytes]]) -> ProbeResult:
    try:
        answer = run_in_child(doctor_probes.__name__, name, timeout_s=timeout_s, on_start=children.append)
    except ChildError as error:
        return ProbeResult(error=f"its process {error}")
    return ProbeResult(**answer)
