"""Graphs that PyTorch's exporter traced, shared by the tests and workers of a run: a trace takes 2 to 5 s of CPU."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import onnx_ir as ir
from torch import nn

from fcn_deploy.onnx_export.trace import trace

# A network of fcn_deploy in full width has hundreds of MB; a file of those would cost more than it spares.
LARGEST_BYTES = 8_000_000


def share_traces(
    made_once: Callable[[str, Callable[[Path], object]], Path],
) -> Callable[[nn.Module], ir.Model]:
    """Return `trace`, which traces a network of each structure once per run and puts the weights in after that.

    What a test exports is still proven against its own network, so a graph of another network would not pass.
    """

    def shared(model: nn.Module) -> ir.Model:
        key = structure(model)
        if key is None:
            return trace(model)
        path = made_once(f"traces/{key}.onnx", lambda path: ir.save(trace(model), path))
        graph = ir.load(path)
        weights = model.state_dict()
        for name, value in graph.graph.initializers.items():
            if name in weights:
                value.const_value = ir.tensor(weights[name], name=name)
        return graph

    return shared


def structure(model: nn.Module) -> str | None:
    """Return a digest of all that a trace depends on, weights excepted; None where something else may matter.

    That is the class, code, settings and buffers of each module. A class that a test wrote, a hook and a method that a
    test replaced are traced each time.
    """
    if sum(each.numel() * each.element_size() for each in model.state_dict().values()) > LARGEST_BYTES:
        return None
    stored = model.state_dict()
    parts = [(name, tuple(each.shape), each.dtype) for name, each in stored.items()]
    parts += [(name, each.numpy().tobytes()) for name, each in model.named_buffers() if name not in stored]
    for name, module in model.named_modules():
        kind = type(module)
        own = vars(module)
        if kind.__module__.split(".")[0] not in ("fcn_deploy", "torch") or "forward" in own or _hooks(module):
            return None
        settings = {key: value for key, value in sorted(own.items()) if not key.startswith("_")}
        parts.append((name, kind.__module__, kind.__qualname__, kind.forward.__code__.co_code, settings))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _hooks(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)
