"""Decide from what the probes found what works here, and which installed versions do not work together."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fcn_deploy.doctor.probes import Findings, ProbeResult
from fcn_deploy.runners.registry import RUNNERS
from fcn_deploy.system.environment import package_versions


@dataclass(frozen=True)
class CapabilityVerdict:
    """Whether something can be done here.

    Attributes:
        capability: what it can do, as the words after "can".
        able: whether.
        reason: why not, with the fix; or what was tried.
        core: whether the project is broken without it.
    """

    capability: str
    able: bool
    reason: str = ""
    core: bool = False


ENGINES = {"RTX": "tensorrt_rtx", "TensorRT": "tensorrt"}
PROVIDERS = {"CUDA": "cuda", "TensorRT": "tensorrt provider", "TensorRT for RTX": "nvtensorrtrtx"}
# What the project is broken without, and the probes that it needs.
CORE = {
    "train": ("torch", "image packages"),
    "export": ("torch", "onnxscript", "onnx packages", "onnxruntime"),
    "audit and quantize": ("onnx packages", "onnxruntime", "image packages"),
    "predict and evaluate from ONNX files": ("onnxruntime", "image packages"),
    "bench on the CPU": ("torch", "onnxruntime", "image packages"),
}
Judgement = tuple[bool, str]  # able, reason


def verdicts(findings: Findings) -> tuple[CapabilityVerdict, ...]:
    """Return every capability, the core first."""
    judged = {
        **{f"build {title} engines": _builds(name, findings) for title, name in ENGINES.items()},
        **{f"run {title} engines": _runs(name, findings) for title, name in ENGINES.items()},
        "use PyTorch on CUDA": _torch_cuda(findings),
        **{f"use ONNX Runtime on {title}": _provider(name, findings) for title, name in PROVIDERS.items()},
        **{
            f"use {line.title}": _runner(line.title, findings[name])
            for name, line in RUNNERS.items()
            if not line.probes
        },
    }
    core = (CapabilityVerdict(name, *_core(findings, *needed), core=True) for name, needed in CORE.items())
    return (*core, *(CapabilityVerdict(capability, *judgement) for capability, judgement in judged.items()))


def _core(findings: Findings, *needed: str) -> Judgement:
    errors = {name: findings[name].error for name in needed if findings[name].error}
    reasons = [error if error.startswith(name) else f"{name}: {error}" for name, error in errors.items()]
    return not reasons, "; ".join(reasons)


def _builds(name: str, findings: Findings) -> Judgement:
    found = findings[name]
    if not found.error:
        return True, f"built a small one with {found.facts['title']} in {found.facts['seconds']:.1f} s"
    no_gpu = _no_gpu(findings) if name == "tensorrt" else ""
    return False, found.error + (f"; it needs a GPU besides, and {no_gpu}" if no_gpu else "")


def _runs(name: str, findings: Findings) -> Judgement:
    library = findings[name]
    reasons = [_no_gpu(findings), library.error, findings["pycuda"].error]
    if trouble := library.facts.get("load_error"):
        reasons.append(f"{library.facts['title']} does not load its own engine here: {trouble}")
    reason = "; ".join(filter(None, reasons))
    return not reason, reason or f"on {_gpu_names(findings)}"


def _torch_cuda(findings: Findings) -> Judgement:
    found = findings["torch"]
    if found.error:
        return False, found.error
    version, cuda = found.facts["version"], found.facts["cuda"]
    if cuda is None:
        return False, f"torch {version} was built without CUDA; install a build for CUDA"
    if found.facts["gpu_error"]:
        return False, _no_gpu(findings) or f"torch {version}, built for CUDA {cuda}: {found.facts['gpu_error']}"
    return True, f"torch {version} on {_gpu_names(findings)}"


def _provider(name: str, findings: Findings) -> Judgement:
    found = findings[name]
    if not found.error:
        return True, "; ".join(["it ran a small file", *found.facts["notes"]])
    reason = found.error.partition(": ")[2] if found.error.startswith("onnxruntime:") else found.error
    if "was built without" in reason:
        return False, reason
    missing = findings["onnxruntime"].facts.get("missing_libraries") or ()
    if missing and name != "nvtensorrtrtx":  # which brings its own
        reason = f"onnxruntime does not find {', '.join(missing)}; try: pip install 'onnxruntime-gpu[cuda,cudnn]'"
    if wanted := re.search(r"libnvinfer\.so\.(\d+)", reason):
        major = int(wanted[1])
        reason += f"; it wants TensorRT {major}, try: pip install 'tensorrt>={major},<{major + 1}'"
    no_gpu = _no_gpu(findings)
    return False, no_gpu if no_gpu and "libcuda" in reason else "; ".join(filter(None, [no_gpu, reason]))


def _runner(title: str, found: ProbeResult) -> Judgement:
    """Decide whether it runs on at least one of its devices."""
    if found.error:
        return False, found.error
    failed, named = found.facts["failed"], " ".join(filter(None, [title, found.facts["version"]]))
    ran = [device for device in found.facts["devices"] if device not in failed]
    said = [f"{named} ran a small file on {', '.join(ran)}"] if ran else []
    said += [] if found.facts["devices"] else [f"{named} finds no device"]
    return bool(ran), "; ".join([*said, *failed.values()])


def _no_gpu(findings: Findings) -> str:
    """Return why no engine runs here, whatever is installed; "" if there is a GPU."""
    driver = findings["driver"]
    return driver.error or ("" if driver.facts["gpus"] else "the driver finds no GPU")


def _gpu_names(findings: Findings) -> str:
    """Return the GPUs; the driver's own probe may have failed where a package's did not."""
    found = findings["driver"].facts.get("gpus") or ()
    return ", ".join(f"{gpu['name']} ({gpu['sm']})" for gpu in found) or "a GPU that the driver does not list"


OWN = "fcn-deploy"
# Distributions that put their files into the same folder, site-packages/onnxruntime.
ONE_FOLDER = (
    "onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino", "onnxruntime-qnn",
    "onnxruntime-trt-rtx", "ort-nightly", "ort-nightly-gpu",
)  # fmt: skip


def misfits(findings: Findings, versions: Mapping[str, str]) -> tuple[str, ...]:
    """Return a line for each, with the fix; `versions` are those of the installed distributions by name."""
    names = (OWN, *versions)
    return (
        *_two_onnxruntimes(package_versions(ONE_FOLDER)),
        *_cuda_above_driver(findings),
        *_two_cudas(findings),
        *_unmet_requirements(names),
    )


def remarks(findings: Findings, versions: Mapping[str, str]) -> tuple[str, ...]:
    """Return a line for each property of the packages that breaks nothing here, but may elsewhere."""
    return tuple(_newest_ir(findings, versions))


def _two_onnxruntimes(installed: Mapping[str, str]) -> Iterator[str]:
    if len(installed) > 1:
        both = " and ".join(f"{name} {version}" for name, version in installed.items())
        yield (
            f"{both} share one folder, and the one installed last has overwritten files of the other; "
            f"pip uninstall {' '.join(installed)}, then install the one you want"
        )


def _newest_ir(findings: Findings, versions: Mapping[str, str]) -> Iterator[str]:
    ort = findings["onnxruntime"].facts
    if ort and not ort["reads_newest_ir"]:
        yield (
            f"files of fcn-deploy run here; for files that you write with onnx {versions.get('onnx', '')} yourself set "
            f"ir_version below {ort['newest_ir']}, which onnxruntime {ort['version']} does not read"
        )


def _cuda_above_driver(findings: Findings) -> Iterator[str]:
    """Report CUDA of a newer major version than the driver's; minor versions are compatible."""
    supported = findings["driver"].facts.get("cuda")
    if supported is None:
        return
    wanted = {"torch": findings["torch"].facts.get("cuda"), "onnxruntime": findings["onnxruntime"].facts.get("cuda")}
    rtx = package_versions([f"tensorrt_rtx_cu{major}" for major in (12, 13, 14)])
    wanted |= {name: name.removeprefix("tensorrt_rtx_cu") for name in rtx}
    for name, version in wanted.items():
        if version and int(version.partition(".")[0]) > supported[0]:
            yield (
                f"{name} is built for CUDA {version} and the driver supports CUDA up to {supported[0]}.{supported[1]}; "
                f"update the driver, or install {name.partition('_cu')[0]} for CUDA {supported[0]}"
            )


def _two_cudas(findings: Findings) -> Iterator[str]:
    """Report PyTorch and onnxruntime for different major versions of CUDA, which cannot share its libraries.

    Without a GPU neither looks for them.
    """
    ort, ours = findings["onnxruntime"].facts, findings["torch"].facts.get("cuda")
    if _no_gpu(findings) or not ort or not ort["cuda"] or not ours or not ort["missing_libraries"]:
        return
    if ours.partition(".")[0] != ort["cuda"].partition(".")[0]:
        yield (
            f"torch brings the libraries of CUDA {ours} and onnxruntime {ort['version']} wants those of CUDA "
            f"{ort['cuda']}; try: pip install 'onnxruntime-gpu[cuda,cudnn]'"
        )


def _unmet_requirements(names: Sequence[str]) -> Iterator[str]:
    """Report requirements of these distributions that the installed packages do not meet (as `pip check`)."""
    try:
        from packaging.requirements import Requirement
    except ImportError:  # comes with onnxruntime, and its absence is reported there
        return
    for name in package_versions(names):
        for text in importlib.metadata.requires(name) or ():
            needed = Requirement(text)
            if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
                continue
            found, wanted = _installed(needed.name), f"{needed.name}{needed.specifier}"
            if found is None:
                yield f"{name} needs {wanted}, which is not installed; pip install '{wanted}'"
            elif not needed.specifier.contains(found, prereleases=True):
                yield f"{name} needs {wanted}, and {found} is installed; pip install '{wanted}'"


def _installed(name: str) -> str | None:
    """Return the version of a package, or of another that puts its files into the same folder; None without one."""
    same = (name, *ONE_FOLDER) if name in ONE_FOLDER else (name,)
    return next(iter(package_versions(same).values()), None)
