"""Find what TensorRT would reject or run slowly in a file, without TensorRT."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
import onnx_ir as ir

from fcn_deploy.audit.rules import NODE_RULES, Finding, Sizes
from fcn_deploy.graph.sizes import fixed_dims, image_input

# The last opset that TensorRT 8.6, the oldest release in use (JetPack), documents.
OLDEST_OPSET = 17
# Elements of a weight looked at together.
PIECE = 1 << 20


def preflight(model: ir.Model, sizes: Sizes) -> tuple[Finding, ...]:
    """Return all findings, errors first. A weight is read in pieces; the graph is not changed.

    Args:
        sizes: of `sizes.tensor_sizes`.
    """
    found = [*_node_findings(model, sizes), *_weight_findings(model), *_opset_findings(model), *_shape_findings(model)]
    return tuple(sorted(found, key=lambda finding: finding.level != "error"))


def _node_findings(model: ir.Model, sizes: Sizes) -> Iterator[Finding]:
    for level, rules in NODE_RULES.items():
        for name, (applies, problem, fix) in rules.items():
            names = [node.name or str(node.outputs[0].name) for node in model.graph if applies(node, sizes)]
            if names:
                yield Finding(name, level, tuple(names), problem, fix)


def _weight_findings(model: ir.Model) -> Iterator[Finding]:
    tensors = [(name, value.const_value) for name, value in model.graph.initializers.items()]
    names = [name for name, tensor in tensors if tensor is not None and not _finite(tensor)]
    if names:
        problem = "holds NaN or infinite numbers, which TensorRT builds without a word"
        yield Finding("weights", "error", tuple(names), problem, "export from a sound checkpoint")


def _finite(tensor: ir.TensorProtocol) -> bool:
    if not tensor.dtype.is_floating_point():
        return True
    numbers = tensor.numpy().reshape(-1)
    pieces = (numbers[start : start + PIECE] for start in range(0, numbers.size, PIECE))
    return all(bool(np.isfinite(piece).all()) for piece in pieces)


def _opset_findings(model: ir.Model) -> Iterator[Finding]:
    opset, known = model.opset_imports.get("", 0), onnx.defs.onnx_opset_version()
    if opset > known:
        problem = f"opset {opset} is unknown to ONNX {onnx.__version__}, which ends at {known}"
        yield Finding("opset", "warning", (), problem, f"export opset {OLDEST_OPSET}")
    elif opset > OLDEST_OPSET:
        problem = f"opset {opset} is beyond {OLDEST_OPSET}, where TensorRT 8.6 ends; later releases take it"
        yield Finding("opset", "warning", (), problem, f"export opset {OLDEST_OPSET} if 8.6 is a target")


def _shape_findings(model: ir.Model) -> Iterator[Finding]:
    fixed = [f"{word} = {dim}" for dim, word in zip(fixed_dims(model), "NHW", strict=True) if dim is not None]
    if fixed:
        problem = f"is fixed at {', '.join(fixed)}: an engine will take no other size"
        yield Finding(
            "static-shape", "warning", (str(image_input(model).name),), problem, "export with dynamic N, H and W"
        )
