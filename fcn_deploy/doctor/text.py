"""Render an examination as lines: what was found, what does not fit together, what can be done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fcn_deploy.doctor.examine import Examination
from fcn_deploy.runners.registry import RUNNERS

GIB = 1 << 30
Facts = Mapping[str, Any]
DRIVER_FIX = "install NVIDIA's, or give the container the GPU (--gpus all)"


def render(examination: Examination) -> str:
    """Return the three blocks of lines, each with an empty line after it."""
    blocks = (found_lines(examination), misfit_lines(examination), verdict_lines(examination))
    return "\n".join(line for block in blocks if block for line in (*block, ""))


def found_lines(examination: Examination) -> list[str]:
    """Render machine, driver, GPUs, and the packages with what each was built for."""
    rows = [*_machine_rows(examination), *_package_rows(examination)]
    width = max(len(name) for name, _ in rows)
    return [f"{name:<{width}}  {text}" for name, text in rows]


def _machine_rows(examination: Examination) -> Iterator[tuple[str, str]]:
    machine, driver = examination.machine, examination.findings["driver"]
    yield "processor", f"{machine['cpu']}, {machine['cores']} cores; Python {machine['python']}"
    if driver.error:
        yield "driver", f"{driver.error}; {DRIVER_FIX}"
        return
    major, minor = driver.facts["cuda"]
    yield "driver", f"{driver.facts['version'] or 'of unknown version'}, CUDA up to {major}.{minor}"
    for gpu in driver.facts["gpus"]:
        yield "GPU", f"{gpu['name']}, {gpu['sm']}, {gpu['memory_bytes'] / GIB:.1f} GiB"


def _package_rows(examination: Examination) -> Iterator[tuple[str, str]]:
    findings = examination.findings
    shown = {
        "torch": ("torch", _torch), "onnx": ("onnx packages", _onnx),
        "onnxruntime": ("onnxruntime", _onnxruntime), "onnxruntime-gpu": ("onnxruntime", _onnxruntime),
    }  # fmt: skip
    probed = {runner: line for runner, line in RUNNERS.items() if not line.probes}
    shown |= {package: (runner, _devices) for runner, line in probed.items() for package in line.distributions}
    for name, version in examination.machine["packages"].items():
        probe, describe = shown.get(name, ("", None))
        found = findings.get(probe)
        yield name, f"{version}, {found.error or describe(found.facts)}" if found and describe else version


def _torch(facts: Facts) -> str:
    return f"built for CUDA {facts['cuda']}" if facts["cuda"] else "built without CUDA"


def _onnxruntime(facts: Facts) -> str:
    built = f"built for CUDA {facts['cuda']}; " if facts["cuda"] else ""
    return f"{built}with the providers {', '.join(facts['providers'])}"


def _onnx(facts: Facts) -> str:
    return f"IR version {facts['ir_version']}, opset {facts['opset']}"


def _devices(facts: Facts) -> str:
    types = f"; the CPU computes in {', '.join(facts['types'])}" if facts["types"] else ""
    return f"with the devices {', '.join(facts['devices']) or 'none'}{types}"


def verdict_lines(examination: Examination) -> list[str]:
    """Return lines such as "can export: yes"; "can run RTX engines: no, libcuda.so.1 is missing: no NVIDIA driver"."""
    return [
        f"can {verdict.capability}: {'yes' if verdict.able else 'no'}"
        + (f", {verdict.reason}" if verdict.reason else "")
        for verdict in examination.verdicts
    ]


def misfit_lines(examination: Examination) -> list[str]:
    """Return what does not fit together, then what breaks nothing here."""
    wrong = [f"does not fit: {line}" for line in examination.misfits]
    return [*wrong, *(f"note: {line}" for line in examination.remarks)]
