"""Check that a GPU can hold the largest image of each profile: the library accepts any."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from fcn_deploy.errors import EngineError
from fcn_deploy.graph.sizes import ImageSize, TensorSize, tensor_sizes
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.vocabulary import Profile, shape_text

# The GPU with most memory to date has 288 GB (NVIDIA B300); many have no more than 24.
LARGEST_BYTES = 288 * 10**9
COMMON_BYTES = 24 * 10**9


def check_maxima(model: ir.Model, profiles: tuple[Profile, ...], progress: Progress = SILENT) -> None:
    """Reject profiles that no GPU can run, and warn of those that few can.

    Raises:
        EngineError: the tensors around a single node need more memory than any GPU has.
    """
    for profile in profiles:
        node, needed = widest_node(model, tensor_sizes(model, ImageSize(*profile.max)))
        what = f"profile {profile}: node {node} alone needs {needed / 1e9:,.0f} GB for an image batch of "
        if needed > LARGEST_BYTES:
            raise EngineError(f"{what}{shape_text(profile.max)}; no GPU has that: lower --max")
        if needed > COMMON_BYTES:
            progress.say(f"warning: {what}{shape_text(profile.max)}, which few GPUs have")


def widest_node(model: ir.Model, sizes: Mapping[str, TensorSize]) -> tuple[str, int]:
    """Return the node whose inputs and outputs hold the most bytes together, which no reuse of memory can avoid."""
    found = ("", 0)
    for node in model.graph:
        names = [str(value.name) for value in (*node.inputs, *node.outputs) if value is not None]
        needed = sum(sizes[name].nbytes for name in names if name in sizes)
        found = max(found, (str(node.name), needed), key=lambda item: item[1])
    return found
