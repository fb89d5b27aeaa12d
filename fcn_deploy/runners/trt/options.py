"""How an engine is run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrtOptions:
    """Choices of the tensorrt runner that do not change its results.

    Attributes:
        gpu: ordinal, as CUDA_VISIBLE_DEVICES leaves them.
        slots: inferences that may be under way at once, with memory for the images and results of each.
        preallocate: hold memory for the largest shape of every profile from the start; else it grows on demand.
        cuda_graphs: start an inference by one call: less work for the CPU, more memory for each new shape.
        runtime_cache: keep kernels that TensorRT for RTX compiled on this GPU in a file beside the engine.
    """

    gpu: int = 0
    slots: int = 3
    preallocate: bool = False
    cuda_graphs: bool = False
    runtime_cache: bool = True

    def __post_init__(self) -> None:
        if self.slots < 1:
            raise ValueError(f"slots is {self.slots}; expected 1 or more")
