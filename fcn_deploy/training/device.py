"""Choose the device of training and the types that it computes in."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from fcn_deploy.errors import TrainingError


@dataclass(frozen=True)
class TrainingDevice:
    """A device and the type of the forward pass.

    Attributes:
        device: where the model lives.
        autocast_dtype: of convolutions; None is float32 throughout.
        scaled: whether the loss is scaled, which float16 needs lest small gradients vanish.
    """

    device: torch.device
    autocast_dtype: torch.dtype | None

    @property
    def scaled(self) -> bool:
        return self.autocast_dtype is torch.float16

    def autocast(self) -> torch.autocast:
        """Return the context for a forward pass."""
        dtype = self.autocast_dtype
        return torch.autocast(self.device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None)


def choose_device(device: str, amp: bool | None) -> TrainingDevice:
    """Resolve "auto" and the default of mixed precision: on for a GPU, off for a CPU.

    bfloat16 where the device computes in it, otherwise float16 with a scaled loss (GPUs before Ampere).

    Raises:
        TrainingError: a GPU was asked for and there is none that PyTorch can use.
    """
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise TrainingError("--device cuda: PyTorch sees no NVIDIA GPU; use --device cpu, or install a CUDA build")
    on_gpu = device == "cuda" or (device == "auto" and available)
    mixed = on_gpu if amp is None else amp
    if not on_gpu:
        return TrainingDevice(torch.device("cpu"), torch.bfloat16 if mixed else None)
    half = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return TrainingDevice(torch.device("cuda"), half if mixed else None)
