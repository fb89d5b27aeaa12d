"""What TensorRT for RTX's builder made of any small file: its own list of the engine's layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fcn_deploy.engine.builder.layers import read_layers
from fcn_deploy.engine.builder.options import BuildOptions, configure
from fcn_deploy.engine.builder.parse import parse
from fcn_deploy.engine.flavors import open_flavor
from fcn_deploy.engine.logger import capture_log
from fcn_deploy.engine.sidecar import EngineLayer


def layers(path: Path) -> tuple[EngineLayer, ...] | None:
    """Build for one architecture with every dynamic dim at 32; None if the build fails."""
    flavor = open_flavor("rtx")
    with capture_log(flavor.module) as recorded:
        parsed = parse(flavor, path)
        assert parsed.findings == ()
        config = configure(flavor, parsed.builder, BuildOptions(sm=("SM89",)), fp16=False, int8=False)
        config.add_optimization_profile(_profile(parsed.builder, parsed.network))
        built = parsed.builder.build_serialized_network(parsed.network, config) is not None
    return read_layers(recorded.lines) if built else None


def _profile(builder: Any, network: Any) -> Any:
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        shape = [32 if dim < 0 else dim for dim in tensor.shape]
        profile.set_shape(tensor.name, shape, shape, shape)
    return profile


def built_type(path: Path, kind: str) -> str | None:
    """Precision of the engine's first layer of one kind; None if there is no such layer."""
    return next((layer.precision for layer in layers(path) or () if layer.kind == kind), None)
