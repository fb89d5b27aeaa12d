"""Decide per capability whether it works here, from what the probes found."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fcn_deploy.doctor.probes import Findings, ProbeResult
from fcn_deploy.runners.registry import RUNNERS


@dataclass(frozen=True)
class CapabilityVerdict:
    """Whether something can be done here.

    Attributes:
        capability: what, to stand behind "can".
        able: whether.
        reason: why not, with the fix; or what was tried.
        core: whether the project is broken without it.
    """

    capability: str
    able: bool
    reason: str = ""
    core: bool = False


def verdicts(findings: Findings) -> tuple[CapabilityVerdict, ...]:
    """Return every capability, the core first."""
    return (
        _core("train and evaluate", findings, "torch", "image packages"),
        _core("export", findings, "torch", "export packages", "onnxruntime"),
        _core("audit and quantize", findings, "export packages", "onnxruntime", "image packages"),
        _core("bench on the CPU", findings, "torch", "onnxruntime", "image packages"),
        *(_builds(title, name, findings) for title, name in ENGINES),
        *(_runs(title, name, findings) for title, name in ENGINES),
        _torch_cuda(findings),
        *(_provider(title, name, findings) for title, name in PROVIDERS),
        *(_runner(line.title, findings[name]) for name, line in RUNNERS.items() if not line.probes),
    )


ENGINES = (("RTX", "tensorrt_rtx"), ("TensorRT", "tensorrt"))
PROVIDERS = (("CUDA", "cuda"), ("TensorRT", "tensorrt provider"), ("TensorRT for RTX", "nvtensorrtrtx"))


def _core(capability: str, findings: Findings, *needed: str) -> CapabilityVerdict:
    reasons = [f"{name}: {findings[name].error}" for name in needed if findings[name].error]
    return CapabilityVerdict(capability, not reasons, "; ".join(reasons), core=True)


def _builds(title: str, name: str, findings: Findings) -> CapabilityVerdict:
    found, capability = findings[name], f"build {title} engines"
    if found.error:
        no_gpu = _no_gpu(findings) if name == "tensorrt" else ""
        return CapabilityVerdict(
            capability, False, found.error + (f"; it needs a GPU besides, and {no_gpu}" if no_gpu else "")
        )
    return CapabilityVerdict(
        capability, True, f"built a small one with {found.facts['title']} in {found.facts['seconds']:.1f} s"
    )


def _runs(title: str, name: str, findings: Findings) -> CapabilityVerdict:
    library = findings[name]
    reasons = [_no_gpu(findings), library.error, findings["pycuda"].error]
    if trouble := library.facts.get("load_error"):
        reasons.append(f"{library.facts['title']} does not load its own engine here: {trouble}")
    reason = "; ".join(filter(None, reasons))
    return CapabilityVerdict(f"run {title} engines", not reason, reason or f"on {_gpu_names(findings)}")


def _torch_cuda(findings: Findings) -> CapabilityVerdict:
    found, capability = findings["torch"], "use PyTorch on CUDA"
    if found.error:
        return CapabilityVerdict(capability, False, found.error)
    version, cuda = found.facts["version"], found.facts["cuda"]
    if cuda is None:
        return CapabilityVerdict(capability, False, f"torch {version} was built without CUDA; install a build for CUDA")
    if found.facts["gpu_error"]:
        reason = _no_gpu(findings) or f"torch {version}, built for CUDA {cuda}: {found.facts['gpu_error']}"
        return CapabilityVerdict(capability, False, reason)
    return CapabilityVerdict(capability, True, f"torch {version} on {_gpu_names(findings)}")


def _provider(title: str, name: str, findings: Findings) -> CapabilityVerdict:
    found, capability = findings[name], f"use ONNX Runtime on {title}"
    if not found.error:
        return CapabilityVerdict(capability, True, "; ".join(["it ran a small file", *found.facts["notes"]]))
    reason = found.error.partition(": ")[2] if found.error.startswith("onnxruntime:") else found.error
    if "was built without" in reason:
        return CapabilityVerdict(capability, False, reason)
    missing = findings["onnxruntime"].facts.get("missing_libraries") or ()
    if missing and name != "nvtensorrtrtx":  # which brings its own
        reason = f"onnxruntime does not find {', '.join(missing)}; try: pip install 'onnxruntime-gpu[cuda,cudnn]'"
    if wanted := re.search(r"libnvinfer\.so\.(\d+)", reason):
        major = int(wanted[1])
        reason += f"; it wants TensorRT {major}, try: pip install 'tensorrt>={major},<{major + 1}'"
    no_gpu = _no_gpu(findings)
    return CapabilityVerdict(
        capability, False, no_gpu if no_gpu and "libcuda" in reason else "; ".join(filter(None, [no_gpu, reason]))
    )


def _runner(title: str, found: ProbeResult) -> CapabilityVerdict:
    """Decide whether OpenVINO runs on at least one device."""
    if found.error:
        return CapabilityVerdict(f"use {title}", False, found.error)
    failed, named = found.facts["failed"], " ".join(filter(None, [title, found.facts["version"]]))
    ran = [device for device in found.facts["devices"] if device not in failed]
    said = [f"{named} ran a small file on {', '.join(ran)}"] if ran else []
    said += [] if found.facts["devices"] else [f"{named} finds no device"]
    return CapabilityVerdict(f"use {title}", bool(ran), "; ".join([*said, *failed.values()]))


def _no_gpu(findings: Findings) -> str:
    """Return why no engine runs here, whatever is installed; "" if there is a GPU."""
    driver = findings["driver"]
    return driver.error or ("" if driver.facts["gpus"] else "the driver finds no GPU")


def _gpu_names(findings: Findings) -> str:
    """Return the GPUs; the driver's own probe may have failed where a package's did not."""
    found = findings["driver"].facts.get("gpus") or ()
    return ", ".join(f"{gpu['name']} ({gpu['sm']})" for gpu in found) or "a GPU that the driver does not tell of"
