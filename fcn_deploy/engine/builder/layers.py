"""Read an engine's layers from the builder's log: that takes no GPU and no loading.

With ProfilingVerbosity.DETAILED each layer is one line of the VERBOSE log:

    Name: fc6_U138_myl0_20, LayerType: correlation, Inputs: [ { Name: ..., Datatype: Half, ... } ], Constants: [ {
    ... Datatype: Half ... } ], Outputs: [...], ..., Metadata: [ONNX Layer: fc6][ONNX Layer: relu6]

TensorRT for RTX writes "Datatype: Int8", TensorRT "Format/Datatype: Row major Int8 format".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from fcn_deploy.engine.sidecar import EngineLayer, PrecisionShares

if TYPE_CHECKING:
    from fcn_deploy.audit.audit import Audit, AuditRow

_LINE = re.compile(r"Name: (?P<name>.+?), LayerType: (?P<kind>[^,]*), Inputs: (?P<rest>.*)")
_ONNX = re.compile(r"\[ONNX Layer: ([^\]]*)\]")
_TYPE = re.compile(r"Datatype: ([^,}]*)")
_PROFILE = re.compile(r"\[profile (\d+)\]|_myl(\d+)_\d+$")
_ACTIVATIONS = re.compile(r"Total Activation Memory: (\d+)")
_WORDS = {
    "int8": "INT8", "half": "FP16", "fp16": "FP16", "float": "FP32", "fp32": "FP32", "bfloat16": "BF16",
    "bf16": "BF16", "fp8": "FP8",
}  # fmt: skip
# Parts of the names that the libraries give their kinds of layers that multiply and add.
_MULTIPLIES = ("correlation", "conv", "gemm", "matmul", "matrixmultiply")


def read_layers(lines: Iterable[str]) -> tuple[EngineLayer, ...]:
    """Return the layers of all profiles in the log's order; empty if the log lists none."""
    return tuple(_layer(match) for line in lines if (match := _LINE.search(line)) is not None)


def read_activation_bytes(lines: Iterable[str]) -> tuple[int, ...]:
    """Return the device memory of the activations by profile, as far as the log has it."""
    return tuple(int(match[1]) for line in lines if (match := _ACTIVATIONS.search(line)) is not None)


def _layer(match: re.Match[str]) -> EngineLayer:
    name, rest = match["name"], match["rest"]
    profile = _PROFILE.search(name) or _PROFILE.search(rest)
    types = _TYPE.findall(rest.split("Outputs:")[0].split("Constants:")[0])
    return EngineLayer(
        name=name,
        kind=match["kind"],
        precision=_precision(types[0]) if types else "",
        nodes=tuple(dict.fromkeys(_ONNX.findall(rest))),
        profile=int(profile[1] or profile[2]) if profile else 0,
    )


def _precision(text: str) -> str:
    """Return the type named by the library's words, or these words if they are unknown."""
    known = [_WORDS[word] for word in re.findall(r"\w+", text.lower()) if word in _WORDS]
    return known[0] if known else text.strip()


def compare_precision(audit: Audit, layers: tuple[EngineLayer, ...]) -> PrecisionShares:
    """Compare the file's types with the builder's list, node by node and profile by profile."""
    built: dict[str, int] = {}
    differ = []
    for row in audit.rows:
        found = list(dict.fromkeys(layer.precision for layer in layers_of(row, layers)))
        word = found[0] if len(found) == 1 else "unknown"
        built[word] = built.get(word, 0) + (row.macs or 0)
        if found != [row.precision]:
            differ.append(
                f"{row.name}: {row.precision} in the file, {' and '.join(found) or 'not listed'} in the engine"
            )
    size = (audit.size.batch, audit.size.height, audit.size.width)
    return PrecisionShares(size, audit.totals, dict(sorted(built.items(), key=lambda item: -item[1])), tuple(differ))


def layers_of(row: AuditRow, layers: tuple[EngineLayer, ...]) -> list[EngineLayer]:
    """Return the layers that do a node's arithmetic: of those that bear or name it, the ones that multiply.

    A layer that only prepares its data (padding of channels, requantisation) names the node as well. The parser calls
    a node without a name after its output.
    """
    names = (row.name, f"node_of_{row.name}")
    own = [layer for layer in layers if any(_named_after(layer.name, name) for name in names)]
    naming = [layer for layer in layers if layer in own or any(name in layer.nodes for name in names)]
    multiply = [layer for layer in naming if any(word in layer.kind.lower() for word in _MULTIPLIES)]
    return [layer for layer in multiply if layer in own] or multiply or naming


def _named_after(layer: str, node: str) -> bool:
    """Return whether the layer is named after the node: "fc6", "fc6 [profile 1]_U138_myl1_20"."""
    return re.fullmatch(re.escape(node) + r"(?: \[profile \d+\])?(?:_U\d+)?(?:_myl\d+_\d+)?", layer) is not None
