"""FCN-8s as a user would write it around each peer: NumPy before and after, default options, logits out.

Each program takes uint8[H, W, 3] and gives uint8[H, W]. The user is no beginner: float32 throughout, no gradients, a
request that is kept, a file of fixed size.
"""

from __future__ import annotations

import contextlib
import io
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import RunnerError
from fcn_deploy.runners.openvino import layer_types
from fcn_deploy.system.optional import require

Image = NDArray[np.uint8]
Program = Callable[[Image], Image]


class TimeIsUp(BaseException):
    """No Exception: the compiler would take it for a failure of its own."""


def normalised(image: Image, card: ModelCard) -> NDArray[np.float32]:
    """uint8[H, W, 3] -> float32[1, 3, H, W]."""
    scaled = (image.astype(np.float32) - np.array(card.mean, np.float32)) / np.array(card.std, np.float32)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None])


def labels_of(logits: NDArray[np.float32]) -> Image:
    """float32[1, C, H, W] -> uint8[H, W]."""
    labels: Image = logits[0].argmax(axis=0).astype(np.uint8)
    return labels


def pytorch(
    network: Callable[[torch.Tensor], torch.Tensor],
    card: ModelCard,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Program:
    """Eager, or compiled; `network` is on `device` and of `dtype`."""

    def program(image: Image) -> Image:
        with torch.inference_mode():
            logits = network(torch.from_numpy(normalised(image, card)).to(device, dtype))
            return labels_of(logits.float().cpu().numpy())

    return program


def compiled(
    network: nn.Module,
    card: ModelCard,
    image: Image,
    seconds: float,
    compiler: Callable[..., Any] = torch.compile,
    device: str = "cpu",
) -> Program:
    """Return the program of `torch.compile` for this size.

    Raises:
        RunnerError: it fails, or is not done after `seconds`.
    """
    torch._dynamo.reset()
    program = pytorch(compiler(network), card, device)
    try:
        with time_limit(seconds):
            program(image)
    except TimeIsUp as error:
        raise RunnerError(f"not compiled after {seconds:g} s") from error
    except Exception as error:  # torch._dynamo's, inductor's and the C++ compiler's have no base in common
        raise RunnerError((str(error).strip().splitlines() or [type(error).__name__])[0]) from error
    return program


def export_logits(network: nn.Module, image: Image, card: ModelCard, path: Path) -> None:
    """torch.onnx.export as it comes: the image's size, float in, logits out."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it asks for torchvision
        torch.onnx.export(network, (torch.from_numpy(normalised(image, card)),), str(path))


def onnxruntime(path: Path, card: ModelCard, provider: str = "CPUExecutionProvider") -> Program:
    session = require("onnxruntime").InferenceSession(str(path), providers=[provider])
    name = session.get_inputs()[0].name
    return lambda image: labels_of(session.run(None, {name: normalised(image, card)})[0])


def openvino(path: Path, card: ModelCard) -> tuple[Program, str]:
    """Return the program, and the type that most of its layers compute in, which OpenVINO chooses."""
    network = require("openvino").compile_model(str(path), "CPU")
    request = network.create_infer_request()
    return lambda image: labels_of(request.infer([normalised(image, card)])[0]), layer_types(network).most_common(1)[0][
        0
    ]


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """TimeIsUp in the block after `seconds`; without a limit where there is no such signal (Windows, threads)."""
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeIsUp

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
