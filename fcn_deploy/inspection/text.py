"""Render what a file holds as lines and tables, at most 100 columns wide where the terminal is no wider."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator

from rich.console import RenderableType
from rich.table import Table

from fcn_deploy.audit.text import shares_line, summary, totals_line
from fcn_deploy.audit.text import table as audit_table
from fcn_deploy.card import ModelCard
from fcn_deploy.engine.sidecar import PrecisionShares, Sidecar
from fcn_deploy.graph.ports import Port
from fcn_deploy.graph.sizes import ImageSize
from fcn_deploy.inspection.engine import EngineFile, ProfileMemory
from fcn_deploy.inspection.inspect import Inspection
from fcn_deploy.inspection.onnx import OnnxFile
from fcn_deploy.system.formatting import bare_table, count, number, some

MEGABYTE = 1_000_000
OPERATORS_SHOWN, CLASSES_SHOWN = 8, 6
Row = tuple[str, str]


def render(inspection: Inspection, layers: bool = False) -> list[RenderableType]:
    """Return a line per fact and, with `layers`, the table of layers where there is one."""
    parts: list[RenderableType] = [*lines(inspection)]
    table = layer_table(inspection) if layers else None
    return parts if table is None else [*parts, "", table]


def lines(inspection: Inspection) -> list[str]:
    """Return a line for each fact, its name first; then faults and remarks."""
    found = inspection.found
    rows = [(inspection.kind, str(inspection.path)), ("size", _megabytes(inspection.file_bytes))]
    rows += [("sha256", inspection.sha256)]
    if isinstance(found, OnnxFile):
        rows += _onnx_rows(found)
    elif isinstance(found, EngineFile):
        rows += _engine_rows(found)
    else:
        rows += [("parameters", f"{found.parameters:,} in {count(found.tensors, 'tensor')}"), *_card_rows(found.card)]
    width = max(len(name) for name, _ in rows)
    marks = [f"fault: {line}" for line in inspection.faults]
    if isinstance(found, EngineFile | OnnxFile):
        word = "note" if isinstance(found, EngineFile) else "warning"
        marks += [f"{word}: {line}" for line in found.remarks]
    return [f"{name:<{width}}  {text}" for name, text in rows] + marks


def _onnx_rows(found: OnnxFile) -> Iterator[Row]:
    opsets = ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in found.opsets.items())
    yield "written by", f"{found.producer or 'an unnamed tool'}; IR version {found.ir_version}, opset {opsets}"
    yield from _port_rows(found.inputs, found.outputs)
    yield "contract", found.contract
    yield from _card_rows(found.card)
    if found.precision is not None:
        yield "quantized to", found.precision
    weights = ", ".join(f"{_megabytes(size)} {dtype}" for dtype, size in found.weight_bytes.items())
    outside = f", in {', '.join(found.data_files)}" if found.data_files else ""
    yield "weights", f"{found.parameters:,} numbers, {weights or 'none'}{outside}"
    yield "nodes", _operators(found)
    if found.audit is None:
        yield "precision", f"unknown: {found.audit_error}"
    else:
        yield "precision", totals_line(found.audit)
        yield from (("preflight", line) for line in summary(found.audit)[1:])


def _operators(found: OnnxFile) -> str:
    shown = list(found.operators.items())[:OPERATORS_SHOWN]
    rest = sum(found.operators.values()) - sum(number_of for _, number_of in shown)
    listed = ", ".join(f"{operator} {number_of}" for operator, number_of in shown)
    return f"{sum(found.operators.values())}: {listed}" + (f", {rest} others" if rest else "")


def _engine_rows(found: EngineFile) -> Iterator[Row]:
    sidecar = found.sidecar
    if sidecar is None:
        if found.header is not None:
            yield "built with", f"{found.header.flavor} {found.header.version}"
        yield "contract", found.contract
        return
    yield "built with", f"{sidecar.flavor} {sidecar.version} on {sidecar.platform} in {sidecar.seconds:.1f} s"
    yield "built for", _built_for(sidecar)
    yield "built from", f"{sidecar.onnx_name}, sha256 {sidecar.onnx_sha256}"
    if sidecar.options:
        yield "options", ", ".join(f"{name} {json.dumps(value)}" for name, value in sidecar.options.items())
    yield from _port_rows(sidecar.inputs, sidecar.outputs)
    yield "contract", found.contract
    yield from _card_rows(sidecar.card)
    yield from (("profile", _memory(memory)) for memory in found.memory)
    yield from _precision_rows(sidecar.precision, sidecar.shares)
    yield "layers", _layers(sidecar)


def _built_for(sidecar: Sidecar) -> str:
    place = sidecar.built_for
    gpu = f", by a machine with {place.gpu}, CUDA {place.driver}" if place.gpu else ", by a machine without a GPU"
    return f"{place.targets() or 'unknown'}{gpu}"


def _memory(memory: ProfileMemory) -> str:
    parts = [memory.profile]
    if memory.activation_bytes is not None:
        parts.append(f"{_megabytes(memory.activation_bytes)} of activations for each context")
    if memory.buffer_bytes is not None:
        parts.append(f"{_megabytes(memory.buffer_bytes)} for each set of input and output at the largest")
    return "; ".join(parts)


def _precision_rows(precision: str, shares: PrecisionShares | None) -> Iterator[Row]:
    """Yield what was built, and what the file's types promised where that is another thing."""
    if shares is None:
        yield "precision", f"{precision}; the builder's layer list does not show what it chose"
        return
    size = ImageSize(*shares.size)
    yield "precision", f"{precision}; built as {shares_line(shares.built, size)}"
    if shares.built != shares.promised:
        yield "promised", shares_line(shares.promised, size)


def _layers(sidecar: Sidecar) -> str:
    if not sidecar.layers:
        return "not reported by the builder"
    kinds = Counter(layer.precision or "no type" for layer in sidecar.layers)
    fused = {node for layer in sidecar.layers for node in layer.nodes}
    listed = ", ".join(f"{kind} {number_of}" for kind, number_of in kinds.most_common())
    return f"{len(sidecar.layers)} of {count(len(fused), 'ONNX node')}; by the type of what they read: {listed}"


def _port_rows(inputs: Iterable[Port], outputs: Iterable[Port]) -> Iterator[Row]:
    for word, ports in (("input", inputs), ("output", outputs)):
        yield from ((word, str(port)) for port in ports)


def _card_rows(card: ModelCard | None) -> Iterator[Row]:
    if card is None:
        yield "model card", "none"
        return
    options = "".join(f", {name} {value}" for name, value in card.options.items())
    yield "model", f"{card.model}{options}"
    yield "classes", f"{card.num_classes}: {some(card.classes, CLASSES_SHOWN)}"
    mean, std = (", ".join(f"{value:g}" for value in values) for values in (card.mean, card.std))
    yield "image", f"{card.channel_order}, less {mean}, by {std}"
    if card.image_divisor > 1:
        yield "sizes", f"sides that are multiples of {card.image_divisor}"
    yield from (("card", f"{name.replace('_', ' ')}: {text}") for name, text in card.notes.items())


def layer_table(inspection: Inspection) -> Table | None:
    """Return every layer of an engine, every node that multiplies of an ONNX file; None where there is no list."""
    found = inspection.found
    if isinstance(found, OnnxFile):
        return None if found.audit is None else audit_table(found.audit)
    if not isinstance(found, EngineFile) or found.sidecar is None or not found.sidecar.layers:
        return None
    table = bare_table(gap=1)
    for column in ("profile", "layer", "kind", "type", "fused from"):
        table.add_column(column, overflow="fold")
    for layer in found.sidecar.layers:
        table.add_row(str(layer.profile), layer.name, layer.kind, layer.precision, ", ".join(layer.nodes))
    return table


def _megabytes(size: int) -> str:
    return f"{size:,} bytes" if size < MEGABYTE / 10 else f"{number(size / MEGABYTE, 1)} MB"
