"""What probes find on a machine with everything, with changes."""

from __future__ import annotations

from typing import Any

from fcn_deploy.doctor.probes import PROBES, Finding

NO_DRIVER = Finding(error="libcuda.so.1 is missing: no NVIDIA driver")
GPU = {"name": "NVIDIA L4", "sm": "SM89", "memory_bytes": 24 << 30}
DRIVER = Finding({"version": "580.65.06", "cuda": [13, 0], "gpus": [GPU]})
RTX = Finding({"version": "1.7", "title": "TensorRT for RTX 1.7", "seconds": 0.1, "plan_bytes": 9, "load_error": ""})
OPENVINO = {"version": "2026.4.1", "devices": ["cpu", "gpu"], "failed": {}, "types": ["FP32", "BF16", "INT8"]}


def ort(**changes: Any) -> Finding:
    facts = {
        "version": "1.31.1", "providers": ["tensorrt", "cuda", "cpu"], "cuda": "13.0", "newest_ir": 13,
        "reads_newest_ir": True, "missing_libraries": [],
    }  # fmt: skip
    return Finding(facts | changes)


def findings(**changes: Finding) -> dict[str, Finding]:
    """A machine with everything, but for the changes; "_" in their names stands for the blank of a probe's name."""
    whole = {
        "driver": DRIVER,
        "torch": Finding({"version": "2.13.0+cu130", "cuda": "13.0", "gpu_error": ""}),
        "export packages": Finding({"ir_version": 13, "opset": 26}),
        "image packages": Finding(),
        "onnxruntime": ort(),
        "cuda": Finding({"notes": []}),
        "tensorrt provider": Finding({"notes": ["2 of 6 nodes run on cuda: Cast 2"]}),
        "nvtensorrtrtx": Finding({"notes": []}),
        "openvino": Finding(OPENVINO),
        "pycuda": Finding({"devices": 1}),
        "tensorrt_rtx": RTX,
        "tensorrt": Finding({**RTX.facts, "title": "TensorRT 10.3"}),
    }
    assert set(whole) == set(PROBES)
    renamed = {name if name in whole else name.replace("_", " "): finding for name, finding in changes.items()}
    return whole | renamed
