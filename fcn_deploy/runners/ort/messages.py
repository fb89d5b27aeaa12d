"""Read what ONNX Runtime says when it fails."""

from __future__ import annotations

import re

from fcn_deploy.errors import one_line


def is_memory(message: str) -> bool:
    """Whether a run failed for want of memory, by onnxruntime's, CUDA's or cuDNN's words."""
    return re.search(r"failed to allocate|out of memory|alloc_failed|bad_alloc", message, re.IGNORECASE) is not None


def reason_of(error: BaseException) -> str:
    """Return an onnxruntime message in one line, without its '[ONNXRuntimeError] : 1 : FAIL :' prefix."""
    return one_line(re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", str(error).strip()) or error)
