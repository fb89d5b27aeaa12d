"""Settle how the image is normalised for a foreign graph: by what the user says, or by the graph's own first nodes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir

from fcn_deploy.adoption.image_port import ImagePort
from fcn_deploy.card import ChannelOrder, Triple
from fcn_deploy.errors import GraphError
from fcn_deploy.graph.sizes import graph_inputs

NONE: tuple[Triple, Triple] = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
# Constants of up to this are of images in 0..1, others of images in 0..255.
LARGEST_OF_UNIT = 1.0
BYTE = 255.0


@dataclass(frozen=True)
class Preprocessing:
    """What the user says of the image that a foreign graph takes.

    Attributes:
        mean, std: of each channel, in the network's channel order, of the image divided by `scale`.
        scale: what the image of 0..255 is divided by first; None is 1 unless the graph shows another.
        channel_order: what the network expects.
        none: whether the graph normalises the image itself.
    """

    mean: Triple | None = None
    std: Triple | None = None
    scale: float | None = None
    channel_order: ChannelOrder = "RGB"
    none: bool = False

    @property
    def given(self) -> bool:
        return self.mean is not None or self.std is not None or self.scale is not None


def settle_normalisation(path: Path, model: ir.Model, port: ImagePort, said: Preprocessing) -> tuple[Triple, Triple]:
    """Return mean and std in units of 0..255, in the network's channel order.

    Raises:
        GraphError: nothing says how; or what the user says contradicts itself or the graph.
    """
    own = _own_subtrahend(model)
    if (said.none or port.is_raw) and said.given:
        reason = "it takes uint8 images" if port.is_raw else "--no-normalisation says that its own nodes normalise"
        raise GraphError(f"{path}: {reason}; leave --mean, --std and --scale out")
    if said.none or port.is_raw:
        return NONE
    if said.given:
        return _said(path, said, own)
    if own is None:
        raise GraphError(
            f"{path} does not show how its images are normalised; give --mean and --std, --scale 255 for "
            "images in 0..1, or --no-normalisation if its own nodes take 0..255"
        )
    return NONE if max(own) > LARGEST_OF_UNIT else (NONE[0], (BYTE, BYTE, BYTE))


def _said(path: Path, said: Preprocessing, own: tuple[float, ...] | None) -> tuple[Triple, Triple]:
    if (said.mean is None) != (said.std is None):
        missing, neutral = ("--std", "1,1,1") if said.std is None else ("--mean", "0,0,0")
        raise GraphError(f"{path}: {missing} is missing; give {missing} {neutral} if the network has none")
    mean, std = said.mean or NONE[0], said.std or NONE[1]
    if min(std) <= 0:
        raise GraphError(f"{path}: --std is {_listed(std)}; expected three numbers above 0")
    unit = max(map(abs, mean)) <= LARGEST_OF_UNIT and (mean, std) != NONE
    if unit and said.scale is None:
        times = (*(tuple(round(value * BYTE, 3) for value in values) for values in (mean, std)),)
        raise GraphError(
            f"{path}: --mean {_listed(mean)} looks like that of images in 0..1; give --scale {BYTE:g} with it, or "
            f"--mean {_listed(times[0])} --std {_listed(times[1])}"
        )
    if not unit and said.mean is not None and (said.scale or 1.0) >= BYTE / 2:
        raise GraphError(
            f"{path}: --mean {_listed(mean)} is of images in 0..255, and --scale {said.scale:g} divides them first; "
            "leave --scale out"
        )
    scale = said.scale or 1.0
    mean, std = _times(mean, scale), _times(std, scale)
    if own is not None and np.allclose(own, mean, rtol=0.05):
        raise GraphError(f"{path} subtracts {_listed(own)} from the image itself; leave --mean and --std out")
    return mean, std


def _own_subtrahend(model: ir.Model) -> tuple[float, ...] | None:
    """Return what the first arithmetic on the image subtracts, or 255 if it divides by about that much, else None."""
    value = graph_inputs(model)[0]
    while True:
        readers = {use.node for use in value.uses() if use.node.op_type != "Shape"}
        node = next(iter(readers)) if len(readers) == 1 else None
        if node is None or node.op_type not in ("Cast", "Transpose", "Identity"):
            break
        value = node.outputs[0]
    constant = (
        next((x.const_value for x in node.inputs if x is not None and x.const_value is not None), None)
        if node
        else None
    )
    if node is None or constant is None or constant.size not in (1, 3):
        return None
    numbers = tuple(float(number) for number in constant.numpy().reshape(-1))
    if node.op_type == "Sub" and node.inputs[0] is value:
        return numbers
    if node.op_type == "Add" and max(numbers) < 0:
        return tuple(-number for number in numbers)
    divides = node.op_type == "Div" and node.inputs[0] is value and min(numbers) > BYTE / 4
    multiplies = node.op_type == "Mul" and 0 < min(numbers) <= max(numbers) < 4 / BYTE
    return (BYTE,) if divides or multiplies else None


def _times(values: Triple, scale: float) -> Triple:
    a, b, c = (value * scale for value in values)
    return a, b, c


def _listed(values: tuple[float, ...]) -> str:
    return ",".join(f"{value:g}" for value in values)
