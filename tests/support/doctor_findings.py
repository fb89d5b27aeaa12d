"""What probes find on a machine with everything, with changes."""

from __future__ import annotations

from typing import Any

from fcn_deploy.doctor.probes import ProbeResult, probes

NO_DRIVER = ProbeResult(error="libcuda.so.1 is missing: no NVIDIA driver")
GPU = {"name": "NVIDIA L4", "sm": "SM89", "memory_bytes": 24 << 30}
DRIVER = ProbeResult({"version": "580.65.06", "cuda": [13, 0], "gpus": [GPU]})
RTX = ProbeResult(
    {"version": "1.7", "title": "TensorRT for RTX 1.7", "seconds": 0.1, "plan_bytes": 9, "load_error": ""}
)
OPENVINO = {"version": "2026.4.1", "devices": ["cpu", "gpu"], "failed": {}, "types": ["FP32", "BF16", "INT8"]}


def ort(**changes: Any) -> ProbeResult:
    facts = {
        "version": "1.31.1", "providers": ["tensorrt", "cuda", "cpu"], "cuda": "13.0", "newest_ir": 13,
        "reads_newest_ir": True, "missing_libraries": [],
    }  # fmt: skip
    return ProbeResult(facts | changes)


def findings(**changes: ProbeResult) -> dict[str, ProbeResult]:
    """A machine with everything, but for the changes; "_" in their names stands for the blank of a probe's name."""
    whole = {
        "driver": DRIVER,
        "torch": ProbeResult({"version": "2.13.0+cu130", "cuda": "13.0", "gpu_error": ""}),
        "onnx packages": ProbeResult({"ir_version": 13, "opset": 26}),
        "onnxscript": ProbeResult(),
        "image packages": ProbeResult(),
        "onnxruntime": ort(),
        "cuda": ProbeResult({"notes": []}),
        "tensorrt provider": ProbeResult({"notes": ["2 of 6 nodes run on cuda: Cast 2"]}),
        "nvtensorrtrtx": ProbeResult({"notes": []}),
        "openvino": ProbeResult(OPENVINO),
        "pycuda": ProbeResult({"devices": 1}),
        "tensorrt_rtx": RTX,
        "tensorrt": ProbeResult({**RTX.facts, "title": "TensorRT 10.3"}),
    }
    blanks = {name.replace(" ", "_"): name for name in whole}
    found = whole | {blanks.get(name, name): finding for name, finding in changes.items()}
    assert set(found) == set(probes())
    return found
