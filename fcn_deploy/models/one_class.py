"""Read a network of one score per pixel as one of two classes.

Its logits become 0 and the score z, so arg max is 1 where z > 0, which is where sigmoid(z) > 0.5.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor

from fcn_deploy.models.conventions import State

BACKGROUND = "background"
_SCORES = re.compile(r"(score_\w+|(aux_)?classifier\.4)\.(weight|bias)|upscore\w*\.bias")
_UPSAMPLING = re.compile(r"upscore\w*\.weight")


def as_two_classes(state: State) -> dict[str, Tensor]:
    """Return a state dict under our names with a first class whose scores are zero throughout."""
    return {key: _widened(key, value) for key, value in state.items()}


def _widened(key: str, value: Tensor) -> Tensor:
    if _SCORES.fullmatch(key) and value.shape[:1] == (1,):
        return torch.cat([torch.zeros_like(value), value])
    if _UPSAMPLING.fullmatch(key) and value.shape[:2] == (1, 1):
        widened = value.new_zeros(2, 2, *value.shape[2:])
        widened[1, 1] = value[0, 0]
        return widened
    return value
