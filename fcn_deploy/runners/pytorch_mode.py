"""Parse what follows "pytorch:", a device and how PyTorch computes on it, and check that it can here."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass

import torch

from fcn_deploy.errors import RunnerError, UnknownNameError
from fcn_deploy.runners.registry import RUNNERS

TYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}
COMPILE = "compile"
# Commands that torch.compile looks for where the environment variable names none.
COMPILERS = {"cpu": ("CXX", ("c++", "g++", "clang++", "cl")), "cuda": ("CC", ("cc", "gcc", "clang", "cl"))}


@dataclass(frozen=True)
class TorchMode:
    """How PyTorch runs a network.

    Attributes:
        device: "cpu" or "cuda".
        gpu: number of the GPU; None is PyTorch's current one.
        dtype: of weights and activations, in channels-last memory; None leaves the network as it is, FP32.
        compiled: whether by torch.compile.
    """

    device: str = "cpu"
    dtype: torch.dtype | None = None
    compiled: bool = False
    gpu: int | None = None

    @property
    def place(self) -> torch.device:
        """Where the network lies."""
        return torch.device(self.device if self.gpu is None else f"{self.device}:{self.gpu}")

    @property
    def plain(self) -> bool:
        """Whether it is PyTorch as the user's own program runs it: the reference."""
        return self.dtype is None and not self.compiled


PLAIN = TorchMode()


def parse_mode(name: str, text: str, gpu: int | None = None) -> TorchMode:
    """Parse "cuda:fp16" as FP16 on a GPU, that number if it is given, "compile" -> compiled on the CPU.

    Raises:
        UnknownNameError: no such device or type, or two of them.
        RunnerError: no CUDA, no such GPU, no such type, or no compiler here; the message starts with `name`.
    """
    line = RUNNERS["pytorch"]
    parts = text.split(":")
    devices = [part for part in parts if part not in line.types] or [line.device]
    types = [part for part in parts if part in TYPES]
    if devices[0] not in line.devices or len(devices) > 1 or len(types) > 1:
        raise UnknownNameError.of("device of the pytorch runner", text, (*line.devices, *line.types))
    mode = TorchMode(devices[0], TYPES[types[0]] if types else None, COMPILE in parts, gpu)
    _check(name, mode)
    return mode


def _check(name: str, mode: TorchMode) -> None:
    if mode.device == "cuda" and not torch.cuda.is_available():
        built = f"CUDA {torch.version.cuda} but finds no GPU" if torch.version.cuda else "no CUDA"
        raise RunnerError(f"{name}: PyTorch {torch.__version__} has {built}; use pytorch:cpu")
    if mode.gpu is not None and mode.gpu >= torch.cuda.device_count():
        raise RunnerError(f"{name}: there is no GPU {mode.gpu}; CUDA shows {torch.cuda.device_count()} to this process")
    if mode.device == "cpu" and mode.dtype is torch.float16:
        raise RunnerError(f"{name}: PyTorch's CPU kernels are made for FP32 and BF16; use pytorch:cpu:bf16")
    if mode.compiled:
        _require_compiler(name, mode.device)


def _require_compiler(name: str, device: str) -> None:
    variable, usual = COMPILERS[device]
    if not any(map(shutil.which, [os.environ[variable]] if os.environ.get(variable) else usual)):
        raise RunnerError(
            f"{name}: torch.compile needs a {'C++' if device == 'cpu' else 'C'} compiler and finds none; install one "
            f"(g++), or name it in the environment variable {variable}"
        )
