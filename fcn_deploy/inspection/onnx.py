"""Read an ONNX file's metadata, and audit what its nodes compute in which precision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from fcn_deploy.audit.audit import Audit, audit
from fcn_deploy.card import ModelCard
from fcn_deploy.errors import FcnDeployError, MissingDependencyError
from fcn_deploy.graph.complete import check_complete
from fcn_deploy.graph.load import PRECISION_KEY, find_card, load_graph
from fcn_deploy.graph.ports import Port, contract_line, graph_io_of, port_of, type_name
from fcn_deploy.graph.precheck.scan import scan
from fcn_deploy.graph.session import newest_ir_version, too_new
from fcn_deploy.graph.sizes import choose_size, graph_inputs, tensor_sizes
from fcn_deploy.graph.weights import READ_BY_ALL
from fcn_deploy.vocabulary import shape_text


@dataclass(frozen=True)
class OnnxFile:
    """One file.

    Attributes:
        producer: tool and version that the file names; opsets: version by domain ("" is ONNX's own).
        contract: see `contract_line`.
        precision: what `quantize` noted ("int8+fp16"); None if it made nothing of the file.
        parameters: elements of all initializers; weight_bytes: by type; data_files: that hold weights outside.
        operators: number of nodes by operator.
        remarks: what one should know before running it.
        audit: at the size that the file fixes, else 360x480; None with `audit_error` saying why there is none.
    """

    producer: str
    ir_version: int
    opsets: Mapping[str, int]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    contract: str
    card: ModelCard | None
    precision: str | None
    parameters: int
    weight_bytes: Mapping[str, int]
    data_files: tuple[str, ...]
    operators: Mapping[str, int]
    audit: Audit | None
    audit_error: str = ""
    remarks: tuple[str, ...] = ()


def inspect_onnx(path: Path) -> OnnxFile:
    """Read it.

    Raises:
        GraphError: not ONNX, or damaged.
        RecipeError: the model card inside is malformed.
    """
    model = load_graph(path, show=True)
    check_complete(model, path)
    tensors = [value.const_value for value in model.graph.initializers.values() if value.const_value is not None]
    weight_bytes: Counter[str] = Counter()
    for tensor in tensors:
        weight_bytes[type_name(tensor.dtype)] += tensor.nbytes
    inputs, outputs = tuple(map(port_of, graph_inputs(model))), tuple(map(port_of, model.graph.outputs))
    card = find_card(model, path)
    found, trouble = _audit(path)
    return OnnxFile(
        producer=" ".join(filter(None, [model.producer_name, model.producer_version])),
        ir_version=model.ir_version,
        opsets=dict(model.opset_imports),
        inputs=inputs,
        outputs=outputs,
        contract=_contract(model, path, card),
        card=card,
        precision=model.metadata_props.get(PRECISION_KEY),
        parameters=sum(tensor.size for tensor in tensors),
        weight_bytes=dict(weight_bytes.most_common()),
        data_files=tuple(sorted(scan(path, show=True))),
        operators=dict(Counter(node.op_type for node in model.graph).most_common()),
        audit=found,
        audit_error=trouble,
        remarks=_remarks(model),
    )


def _contract(model: ir.Model, path: Path, card: ModelCard | None) -> str:
    """Return `contract_line`, or that the labels have not the image's size, at the size of the audit."""
    line = contract_line([*map(port_of, graph_inputs(model))], [*map(port_of, model.graph.outputs)], card)
    if line.startswith("no: "):
        return line
    io, size = graph_io_of(model, str(path), card), choose_size(model, None, None, None)
    shape = tensor_sizes(model, size)[str(io.labels or io.logits)].shape
    sides = () if shape is None else shape[-2:]
    if sides in ((), (size.height, size.width)):
        return line
    given = shape_text(sides)
    return f"no: labels of {given} for an image of {size}; `fcn-deploy adopt` writes a file that fits"


def _remarks(model: ir.Model) -> tuple[str, ...]:
    if model.ir_version <= READ_BY_ALL:
        return ()
    with suppress(MissingDependencyError):
        newest = newest_ir_version()
        return (too_new(model.ir_version, newest),) if model.ir_version > newest else ()
    return ()


def _audit(path: Path) -> tuple[Audit | None, str]:
    try:
        return audit(path), ""
    except FcnDeployError as error:
        return None, str(error).removeprefix(f"{path} ").removeprefix(f"{path}: ")
