"""What TensorRT for RTX's builder made of a file: its own list of the engine's layers."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any


def layers(trt: ModuleType, path: Path) -> list[str] | None:
    """Build an engine for one architecture and return the lines of its layer list; None if the build fails."""
    lines: list[str] = []
    base: Any = trt.ILogger

    class Log(base):
        def log(self, severity: object, message: str) -> None:
            lines.extend(message.splitlines())

    logger = Log()
    builder = trt.Builder(logger)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, logger)
    assert parser.parse_from_file(str(path))
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.SM89, 0)
    config.add_optimization_profile(_profile(builder, network))
    built = builder.build_serialized_network(network, config) is not None
    return [line for line in lines if "LayerType:" in line] if built else None


def _profile(builder: Any, network: Any) -> Any:
    """Every dynamic dim at 32."""
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        shape = [32 if dim < 0 else dim for dim in tensor.shape]
        profile.set_shape(tensor.name, shape, shape, shape)
    return profile


def built_type(trt: ModuleType, path: Path, kind: str) -> str | None:
    """Data type of the first input of the engine's first layer of one kind; None if there is no such layer."""
    types = [_first_type(line) for line in layers(trt, path) or () if f"LayerType: {kind}," in line]
    return types[0] if types else None


def built_types(trt: ModuleType, path: Path) -> dict[str, str]:
    """Data types of the convolutions' first inputs by the name of the ONNX node."""
    pattern = re.compile(r"Name: (\S+?)(?:_U\d+)?_myl\d+_\d+, LayerType: (?:correlation|deconv),")
    found = [(pattern.match(line), line) for line in layers(trt, path) or ()]
    return {match[1]: _first_type(line) for match, line in found if match is not None}


def _first_type(line: str) -> str:
    match = re.search(r"Datatype: (\w+)", line)
    assert match is not None, line
    return match[1]
