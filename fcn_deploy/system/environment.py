"""Describe the circumstances of a measurement as plain data, without the names of persons, hosts or folders."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from fcn_deploy.errors import MissingDependencyError
from fcn_deploy.system.optional import require
from fcn_deploy.version import __version__

PACKAGES = ("onnx", "onnx-ir", "numpy")


def describe_environment(threads: int | None, packages: Sequence[str]) -> dict[str, Any]:
    """Describe the machine, the system, the versions of those of `packages` that are installed, GPUs and the load."""
    return {
        "fcn_deploy": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": cpu_model(),
        "cores": {"physical": psutil.cpu_count(logical=False), "logical": psutil.cpu_count()},
        "memory_bytes": psutil.virtual_memory().total,
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "threads": threads,
        "packages": package_versions((*packages, *PACKAGES)),
        "torch": _torch_build(),
        "onnxruntime": _onnxruntime_build(),
        "gpus": gpu_names(),
    }


def package_versions(packages: Sequence[str]) -> dict[str, str]:
    """Return the versions of those of `packages` that are installed."""
    versions = {}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def cpu_model() -> str:
    """Return the processor's name as the system gives it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        if names:
            return names[0]
    return platform.processor() or platform.machine()


def cpu_flags(info: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Return the names of the first processor's abilities, such as avx2; empty where the system does not list them."""
    try:
        lines = info.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    flags = (line.partition(":")[2].split() for line in lines if line.startswith("flags"))
    return frozenset(next(flags, ()))


def gpu_names() -> list[str]:
    """List the NVIDIA GPUs that PyTorch can use; empty if none, or if PyTorch was built without CUDA."""
    import torch

    if not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]


def _torch_build() -> dict[str, Any]:
    import torch

    return {
        "cuda": torch.version.cuda,
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "mkldnn": torch.backends.mkldnn.is_available(),  # type: ignore[no-untyped-call]
        "cudnn_tf32": bool(torch.backends.cudnn.allow_tf32),
    }


def _onnxruntime_build() -> dict[str, Any] | None:
    try:
        onnxruntime = require("onnxruntime")
    except MissingDependencyError:
        return None
    return {"build": onnxruntime.get_build_info(), "providers": onnxruntime.get_available_providers()}
