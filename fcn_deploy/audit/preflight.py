"""Find what TensorRT's parser and builder reject or run slowly in a file, without TensorRT: rules, each with its fix.

The errors were tried on TensorRT for RTX 1.7.1 (a test does so again where it is installed), the warnings are reported
for other releases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import onnx
import onnx_ir as ir

from fcn_deploy.audit.finding import Finding, Level
from fcn_deploy.graph.float_layers import INTEGER_OPERATORS, QUANTISERS
from fcn_deploy.graph.macs import OPERANDS
from fcn_deploy.graph.nodes import operand, producer
from fcn_deploy.graph.sizes import TensorSize, fixed_dims, image_input
from fcn_deploy.graph.weights import is_finite

Sizes = Mapping[str, TensorSize]
STANDARD_DOMAINS = ("", "ai.onnx")
_FLOATS = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE)
# Their float operands may differ in type.
_MAY_MIX = (*QUANTISERS, "Resize", "Cast", "CastLike")

# The last opset that TensorRT 8.6, the oldest release in use (JetPack), documents.
OLDEST_OPSET = 17


def _dtype(value: ir.Value | None, sizes: Sizes) -> ir.DataType | None:
    return sizes[str(value.name)].dtype if value is not None and value.name in sizes else None


def _reads_uint8(node: ir.Node, sizes: Sizes) -> bool:
    exempt = ("Cast", "Identity", *QUANTISERS, *INTEGER_OPERATORS, "DynamicQuantizeLinear")
    return node.op_type not in exempt and any(_dtype(value, sizes) == ir.DataType.UINT8 for value in node.inputs)


def _quantised_value(node: ir.Node) -> ir.Value | None:
    if node.op_type not in QUANTISERS:
        return None
    return node.outputs[0] if node.op_type == "QuantizeLinear" else node.inputs[0]


def _operand(node: ir.Node, position: int) -> np.ndarray | None:
    value = operand(node, position) if node.op_type in QUANTISERS else None
    return value.const_value.numpy() if value is not None and value.const_value is not None else None


def _has_zero_point(node: ir.Node, sizes: Sizes) -> bool:
    zero_point = _operand(node, 2)
    return zero_point is not None and bool(np.any(zero_point.astype(np.float32) != 0))


def _has_bad_scale(node: ir.Node, sizes: Sizes) -> bool:
    scale = _operand(node, 1)
    if scale is None:
        return False
    scale = scale.astype(np.float32)
    return not bool(np.all((scale > 0) & np.isfinite(scale)))


def _mixes_types(node: ir.Node, sizes: Sizes) -> bool:
    kinds = {_dtype(value, sizes) for value in node.inputs} & set(_FLOATS)
    return node.op_type not in _MAY_MIX and node.domain in STANDARD_DOMAINS and len(kinds) > 1


def _casts_int64_to_uint8(node: ir.Node, sizes: Sizes) -> bool:
    ends = (_dtype(node.inputs[0], sizes), _dtype(node.outputs[0], sizes)) if node.op_type == "Cast" else ()
    return ends == (ir.DataType.INT64, ir.DataType.UINT8)


def _is_quantised_deconvolution(node: ir.Node, sizes: Sizes) -> bool:
    makers = (producer(node), producer(node, 1)) if node.op_type == "ConvTranspose" else ()
    return any(maker is not None and maker.op_type == "DequantizeLinear" for maker in makers)


def _is_float16_grouped_conv(node: ir.Node, sizes: Sizes) -> bool:
    grouped = node.op_type == "Conv" and node.attributes.get_int("group", 1) > 1
    return grouped and _dtype(node.inputs[0], sizes) == ir.DataType.FLOAT16


def _parts_conv_from_relu(node: ir.Node, sizes: Sizes) -> bool:
    """Return a quantiser between a Conv and the ReLU that would have been fused into it."""
    before = producer(node) if node.op_type == "QuantizeLinear" else None
    if before is None or before.op_type not in OPERANDS:
        return False
    after = [use.node for use in node.outputs[0].uses() if use.node.op_type == "DequantizeLinear"]
    return any(use.node.op_type == "Relu" for dequantise in after for use in dequantise.outputs[0].uses())


# By level: rule -> whether a node breaks it, the problem (which follows the node's name and a colon), the fix.
# Errors would be rejected or give wrong masks; warnings may be slow, or are only accepted by some releases.
NODE_RULES: dict[Level, dict[str, tuple[Callable[[ir.Node, Sizes], bool], str, str]]] = {
    "error": {
        "integer-operator": (
            lambda node, sizes: node.op_type in (*INTEGER_OPERATORS, "DynamicQuantizeLinear"),
            "is an operator that TensorRT's parser does not have",
            "write the quantisation as QuantizeLinear and DequantizeLinear",
        ),
        "foreign-operator": (
            lambda node, sizes: node.domain not in STANDARD_DOMAINS and not node.domain.startswith("trt"),
            "is not a standard ONNX operator; TensorRT has it only as a plugin",
            "save the model without ONNX Runtime's or another tool's optimisation",
        ),
        "uint8-read": (_reads_uint8, "reads UINT8, which TensorRT can only cast", "put the Cast first"),
        "uint8-quantised": (
            lambda node, sizes: _dtype(_quantised_value(node), sizes) == ir.DataType.UINT8,
            "quantises to UINT8; TensorRT rejects that, or clips at 127 as for INT8",
            "quantise to INT8 with zero point 0",
        ),
        "zero-point": (_has_zero_point, "has a zero point other than 0", "quantise symmetrically"),
        "scale": (_has_bad_scale, "has a scale that is not above 0 and finite", "calibrate again"),
        "int32-bias": (
            lambda node, sizes: (
                node.op_type == "DequantizeLinear" and _dtype(node.inputs[0], sizes) == ir.DataType.INT32
            ),
            "dequantises INT32, which TensorRT rejects",
            "leave the bias in float",
        ),
        "mixed-types": (_mixes_types, "has float inputs of different types", "put a Cast before it"),
        "bf16-deconvolution": (
            lambda node, sizes: (
                node.op_type == "ConvTranspose" and _dtype(node.inputs[0], sizes) == ir.DataType.BFLOAT16
            ),
            "is a ConvTranspose in BF16, which TensorRT for RTX fails to build",
            "keep it in FP32 or FP16, between Casts",
        ),
    },
    "warning": {
        "quantised-deconvolution": (
            _is_quantised_deconvolution,
            "is a ConvTranspose with quantised inputs: computed in float all the same, and some releases fail to build "
            "it",
            "leave it unquantised",
        ),
        "fp16-grouped-conv": (
            _is_float16_grouped_conv,
            "is a grouped Conv in FP16, which TensorRT 11.2.1 fails to build",
            "keep it in FP32, or use another release",
        ),
        "int64-to-uint8": (
            _casts_int64_to_uint8,
            "casts INT64 to UINT8, which TensorRT does not document",
            "cast to FLOAT, then to UINT8",
        ),
        "quantised-before-relu": (
            _parts_conv_from_relu,
            "quantises between a Conv and its ReLU: one bit of range lost, and no fusion",
            "quantise the inputs of Conv alone",
        ),
        "fp16-scale": (
            lambda node, sizes: node.op_type in QUANTISERS and _dtype(node.inputs[1], sizes) == ir.DataType.FLOAT16,
            "has an FP16 scale, which ONNX Runtime 1.31 optimises wrongly on the CPU",
            "keep scales in FP32, with Casts",
        ),
        "subgraph": (
            lambda node, sizes: any(attribute.type == ir.AttributeType.GRAPH for attribute in node.attributes.values()),
            "holds a graph of its own (If, Loop), which the audit does not count",
            "export without control flow",
        ),
    },
}


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
    names = [name for name, tensor in tensors if tensor is not None and not is_finite(tensor)]
    if names:
        problem = "holds NaN or infinite numbers, which TensorRT builds without an error"
        yield Finding("weights", "error", tuple(names), problem, "export from a sound checkpoint")


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
