"""Find installed versions that do not work together."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Mapping, Sequence

from fcn_deploy.doctor.probes import Findings
from fcn_deploy.system.environment import package_versions

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
        *_newest_ir(findings, versions),
        *_cuda_above_driver(findings),
        *_two_cudas(findings),
        *_unmet_requirements(names),
    )


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
            f"onnx {versions.get('onnx', '')} writes IR version {ort['newest_ir']} unless told otherwise, which "
            f"onnxruntime {ort['version']} does not read; files of fcn-deploy are not concerned, for others set "
            "ir_version when they are saved"
        )


def _cuda_above_driver(findings: Findings) -> Iterator[str]:
    """Report CUDA of a newer major version than the driver's; minor versions are compatible."""
    supported = findings["driver"].facts.get("cuda")
    if supported is None:
        return
    wanted = {"torch": findings["torch"].facts.get("cuda"), "onnxruntime": findings["onnxruntime"].facts.get("cuda")}
    wanted |= {f"tensorrt_rtx_cu{major}": str(major) for major in _rtx_majors()}
    for name, version in wanted.items():
        if version and int(version.partition(".")[0]) > supported[0]:
            yield (
                f"{name} is built for CUDA {version} and the driver supports CUDA up to {supported[0]}.{supported[1]}; "
                f"update the driver, or install {name.partition('_cu')[0]} for CUDA {supported[0]}"
            )


def _two_cudas(findings: Findings) -> Iterator[str]:
    """Report PyTorch and onnxruntime for different major versions of CUDA, which cannot share its libraries."""
    ort, ours = findings["onnxruntime"].facts, findings["torch"].facts.get("cuda")
    if not ort or not ort["cuda"] or not ours or not ort["missing_libraries"]:
        return
    if ours.partition(".")[0] != ort["cuda"].partition(".")[0]:
        yield (
            f"torch brings the libraries of CUDA {ours} and onnxruntime {ort['version']} wants those of CUDA "
            f"{ort['cuda']}; try: pip install 'onnxruntime-gpu[cuda,cudnn]'"
        )


def _rtx_majors() -> list[int]:
    return [major for major in (12, 13, 14) if package_versions([f"tensorrt_rtx_cu{major}"])]


def _unmet_requirements(names: Sequence[str]) -> Iterator[str]:
    """Report requirements of these distributions that the installed packages do not meet (as `pip check`)."""
    try:
        from packaging.requirements import Requirement
    except ImportError:  # comes with onnxruntime, and its absence is told there
        return
    for name in package_versions(names):
        for text in importlib.metadata.requires(name) or ():
            needed = Requirement(text)
            if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
                continue
            found, wanted = package_versions([needed.name]).get(needed.name), f"{needed.name}{needed.specifier}"
            if found is None:
                yield f"{name} needs {wanted}, which is not installed; pip install '{wanted}'"
            elif not needed.specifier.contains(found, prereleases=True):
                yield f"{name} needs {wanted}, and {found} is installed; pip install '{wanted}'"
