"""Define the words that the command line and the library share: tensor names, precisions, methods, sizes.

Importing this loads nothing heavy, so that the options of the command line can be built from it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from fcn_deploy.errors import EngineError, ShapeError, UnknownNameError

# The tensors of the contract: `image` in, `labels`, `confidence` and / or `logits` out.
INPUT = "image"
LABELS = "labels"
CONFIDENCE = "confidence"
LOGITS = "logits"
OUTPUTS = (LABELS, CONFIDENCE, LOGITS)
# What a runner gives: those, and what is made of the logits behind the file.
PROBABILITIES = "probabilities"
RUNNER_OUTPUTS = (*OUTPUTS, PROBABILITIES)

# What the inputs of the multiplications are rounded to; "int8+fp16" is INT8 with FP16 in the layers that stay in float.
Precision = Literal["fp32", "fp16", "bf16", "int8", "int8+fp16", "fp8", "fp8+fp16"]
QuantizedPrecision = Literal["fp16", "bf16", "int8", "int8+fp16", "fp8", "fp8+fp16"]
LayerPrecision = Literal["fp32", "fp16", "bf16", "int8", "fp8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
QUANTIZED_PRECISIONS: tuple[QuantizedPrecision, ...] = get_args(QuantizedPrecision)
LAYER_PRECISIONS: tuple[LayerPrecision, ...] = get_args(LayerPrecision)

# How calibration chooses the range of a tensor from the values that it took.
Method = Literal["minmax", "percentile", "entropy", "mse"]
METHODS: tuple[Method, ...] = get_args(Method)

# Whose INT8 kernels a quantized graph is made for.
Target = Literal["tensorrt", "cpu"]
TARGETS: tuple[Target, ...] = get_args(Target)

# What an exported graph takes: raw bytes, or a batch that is normalised already.
InputKind = Literal["uint8", "float"]
INPUT_KINDS: tuple[InputKind, ...] = get_args(InputKind)

# Of the VGG networks: fc6 and fc7, or a score on pool5; and how transposed convolutions start.
Head = Literal["fc", "pool5"]
HEADS: tuple[Head, ...] = get_args(Head)
Upsampling = Literal["bilinear", "random"]
UPSAMPLINGS: tuple[Upsampling, ...] = get_args(Upsampling)

# Where PyTorch trains, and what it does at an unreadable image.
Device = Literal["auto", "cpu", "cuda"]
DEVICES: tuple[Device, ...] = get_args(Device)
BadImages = Literal["stop", "skip"]
BAD_IMAGES: tuple[BadImages, ...] = get_args(BadImages)

# How predicted labels are written.
MaskFormat = Literal["indexed", "raw", "npy"]
MASK_FORMATS: tuple[MaskFormat, ...] = get_args(MaskFormat)

Size = tuple[int, int]  # H, W
Shape = tuple[int, int, int]  # N, H, W
LARGEST_DIM = 2**31 - 1  # of a tensor in TensorRT
WIDEST = 16.0  # factor of a network's channels
LONGEST_SIDE = 1 << 16  # of an image, in pixels


def file_outputs(names: Sequence[str]) -> tuple[str, ...]:
    """Return the tensors that a file shall give, in the order of `OUTPUTS`; labels where none is named.

    Raises:
        UnknownNameError: no such tensor, or confidence without that of which it is.
    """
    wanted = requested_outputs(names, OUTPUTS)
    if wanted == (CONFIDENCE,):
        raise UnknownNameError("confidence alone does not say of which label; write labels,confidence")
    return wanted


def requested_outputs(names: Sequence[str], known: Sequence[str] = RUNNER_OUTPUTS) -> tuple[str, ...]:
    """Return the tensors of `names` in the order of `known`; labels where none is named.

    Raises:
        UnknownNameError: no such tensor.
    """
    for name in names:
        if name not in known:
            raise UnknownNameError.of("output", name, known)
    return tuple(name for name in known if name in names) or (LABELS,)


def shape_text(shape: Sequence[int]) -> str:
    """Render (1, 360, 480) as "1x360x480"."""
    return "x".join(map(str, shape))


def parse_size(text: str) -> Size:
    """Read "360x480" as (360, 480).

    Raises:
        ShapeError: not a height and a width above 0.
    """
    height, width = _dims(text, 2, "a height and a width above 0; write HxW, as in 360x480")
    return height, width


def parse_shape(text: str) -> Shape:
    """Read "1x360x480" as (1, 360, 480).

    Raises:
        ShapeError: not a batch, a height and a width above 0.
    """
    batch, height, width = _dims(text, 3, "a batch, a height and a width above 0; write NxHxW, as in 1x360x480")
    return batch, height, width


def _dims(text: str, number: int, expected: str) -> list[int]:
    parts = text.strip().lower().split("x")
    if len(parts) != number or not all(re.fullmatch(r"0*[1-9]\d{0,9}", part, re.ASCII) for part in parts):
        raise ShapeError(f"'{text}' is not {expected}")
    return [int(part) for part in parts]


@dataclass(frozen=True)
class Profile:
    """The smallest, the most usual and the largest image batch that an engine is built for, each as (N, H, W).

    Raises:
        EngineError: a number below 1 or above `LARGEST_DIM`, or min <= opt <= max does not hold in one of them. The
            builder itself accepts zeros silently and reports the others late.
    """

    min: Shape
    opt: Shape
    max: Shape

    def __post_init__(self) -> None:
        for word, shape in (("min", self.min), ("opt", self.opt), ("max", self.max)):
            if min(shape) < 1 or max(shape) > LARGEST_DIM:
                bound = "below 1" if min(shape) < 1 else f"above {LARGEST_DIM}"
                raise EngineError(f"profile {self}: {word} {shape_text(shape)} has a number {bound}")
        for index, axis in enumerate("NHW"):
            low, usual, high = self.min[index], self.opt[index], self.max[index]
            if not low <= usual <= high:
                raise EngineError(
                    f"profile {self}: {axis} goes from {low} over {usual} to {high}; expected min <= opt <= max"
                )

    def accepts(self, shape: Shape) -> bool:
        """Return whether an image batch of (N, H, W) may run under this profile."""
        return all(low <= number <= high for low, number, high in zip(self.min, shape, self.max, strict=True))

    def __str__(self) -> str:
        return " .. ".join(shape_text(shape) for shape in (self.min, self.opt, self.max))
