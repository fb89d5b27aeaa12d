"""Find the first layer of a stage whose results are NaN or infinite."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.diagnosis.stages import Stage
from fcn_deploy.diagnosis.tensors import ENTRY, OnnxSource, TorchSource, tensor_source
from fcn_deploy.errors import FcnDeployError
from fcn_deploy.runners.checks.scores import LARGEST
from fcn_deploy.system.formatting import count
from fcn_deploy.system.scratch import scratch_folder

AT_ONCE = 16  # tensors that are held at a time


def where_numbers_end(stage: Stage, image: NDArray[np.uint8]) -> str:
    """Return the first layer that gives NaN or infinity for an image uint8[1, H, W, 3], in words; "" if none shows."""
    try:
        source = tensor_source(stage)
        return "" if source is None else _first(source, image[:, :LARGEST, :LARGEST])
    except FcnDeployError:  # why it fails is known already
        return ""


def _first(source: OnnxSource | TorchSource, image: NDArray[np.uint8]) -> str:
    names = [name for name in source.names if name != ENTRY]
    for start in range(0, len(names), AT_ONCE):
        part = names[start : start + AT_ONCE]
        with scratch_folder() as folder:
            tensors = source.open(part, folder)(image)
        for name in part:
            if name in tensors and (lost := _lost(tensors[name])):
                share = f"{lost:,} of {count(tensors[name].size, 'number')}"
                return f"the first layer that gives them is {_layer(source, name)}: {share}"
    return ""


def _lost(tensor: NDArray[np.generic]) -> int:
    return int(np.count_nonzero(~np.isfinite(tensor))) if tensor.dtype.kind == "f" else 0


def _layer(source: OnnxSource | TorchSource, name: str) -> str:
    """Return the name of the layer that makes a tensor, with its operator where there is one."""
    if isinstance(source, TorchSource):
        return name
    node = next(node for node in source.model.graph if any(output.name == name for output in node.outputs))
    return f"{node.name or name} ({node.op_type})"
