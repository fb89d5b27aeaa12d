"""Define what a user may ask of the tensorrt runner."""

from __future__ import annotations

from dataclasses import dataclass

from fcn_deploy.system.arguments import Positive, checked_fields


@checked_fields
@dataclass(frozen=True)
class TrtOptions:
    """Choices of the tensorrt runner that do not change its results.

    Attributes:
        slots: inferences of a context that may be under way at once, with memory for the images and results of each.
        contexts: inferences that are computed at once, each with activation memory of its own.
        preallocate: hold memory for the largest shape of every profile from the start; else it grows on demand.
        cuda_graphs: start an inference by one call: less work for the CPU, more memory for each new shape; None where
            they hold.
        runtime_cache: keep kernels that TensorRT for RTX compiled on this GPU in a file next to the engine.
    """

    slots: Positive = 3
    contexts: Positive = 1
    preallocate: bool = False
    cuda_graphs: bool | None = None
    runtime_cache: bool = True
