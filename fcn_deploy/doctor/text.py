"""Render an examination as lines: what was found, what does not fit together, what can be done."""

from __future__ import annotations

from collections.abc import Iterator

from fcn_deploy.doctor.examine import Examination
from fcn_deploy.doctor.probes import ProbeResult
from fcn_deploy.runners.registry import RUNNERS

GIB = 1 << 30
DRIVER_MEND = "install NVIDIA's, or give the container the GPU (--gpus all)"


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
        yield "driver", f"{driver.error}; {DRIVER_MEND}"
        return
    major, minor = driver.facts["cuda"]
    yield "driver", f"{driver.facts['version'] or 'of unknown version'}, CUDA up to {major}.{minor}"
    for gpu in driver.facts["gpus"]:
        yield "GPU", f"{gpu['name']}, {gpu['sm']}, {gpu['memory_bytes'] / GIB:.1f} GiB"


def _package_rows(examination: Examination) -> Iterator[tuple[str, str]]:
    findings = examination.findings
    shown = {
        "torch": ("torch", _torch), "onnx": ("export packages", _onnx),
        "onnxruntime": ("onnxruntime", _onnxruntime), "onnxruntime-gpu": ("onnxruntime", _onnxruntime),
    }  # fmt: skip
    probed = {runner: line for runner, line in RUNNERS.items() if not line.probes}
    shown |= {package: (runner, _devices) for runner, line in probed.items() for package in line.distributions}
    for name, version in examination.machine["packages"].items():
        probe, describe = shown.get(name, ("", None))
        yield name, version if describe is None else f"{version}, {describe(findings[probe])}"


def _torch(found: ProbeResult) -> str:
    if found.error:
        return found.error
    return f"built for CUDA {found.facts['cuda']}" if found.facts["cuda"] else "built without CUDA"


def _onnxruntime(found: ProbeResult) -> str:
    if found.error:
        return found.error
    parts = [f"built for CUDA {found.facts['cuda']}"] if found.facts["cuda"] else []
    parts.append(f"with the providers {', '.join(found.facts['providers'])}")
    return "; ".join(parts)


def _onnx(found: ProbeResult) -> str:
    return found.error or f"IR version {found.facts['ir_version']}, opset {found.facts['opset']}"


def _devices(found: ProbeResult) -> str:
    if found.error:
        return found.error
    types = f"; the CPU computes in {', '.join(found.facts['types'])}" if found.facts["types"] else ""
    return f"with the devices {', '.join(found.facts['devices']) or 'none'}{types}"


def verdict_lines(examination: Examination) -> list[str]:
    """ "can export: yes"; "can run RTX engines: no, libcuda.so.1 is missing: no NVIDIA driver"."""
    return [
        f"can {verdict.capability}: {'yes' if verdict.able else 'no'}"
        + (f", {verdict.reason}" if verdict.reason else "")
        for verdict in examination.verdicts
    ]


def misfit_lines(examination: Examination) -> list[str]:
    """Return what does not fit together."""
    return [f"does not fit: {line}" for line in examination.misfits]
