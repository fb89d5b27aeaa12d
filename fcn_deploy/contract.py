"""Wrap a PyTorch model in the contract of all runners: uint8[N, H, W, 3] RGB in, labels or logits out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fcn_deploy.card import ModelCard


class Contract(nn.Module):
    """`model` from the raw image on.

    The arithmetic, (x - mean) / std in float32 after reordering the channels, is the same, operation by operation,
    as in the exported graph.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, card: ModelCard) -> None:
        super().__init__()
        self.model = model
        self.flip = card.channel_order == "BGR"
        self.label_dtype = torch.int32 if card.wide_labels else torch.uint8
        self.register_buffer("mean", torch.tensor(card.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(card.std).view(1, 3, 1, 1), persistent=False)

    def normalise(self, image: Tensor) -> Tensor:
        """uint8[N, H, W, 3] RGB -> float32[N, 3, H, W] as the network expects it."""
        x = image.permute(0, 3, 1, 2).to(torch.float32)
        if self.flip:
            x = x.flip(1)
        return ((x - self.mean) / self.std).contiguous()

    def logits(self, image: Tensor) -> Tensor:
        """uint8[N, H, W, 3] -> float32[N, C, H, W]."""
        logits: Tensor = self.model(self.normalise(image))
        return logits

    def forward(self, image: Tensor) -> Tensor:
        """uint8[N, H, W, 3] -> labels uint8[N, H, W] (int32 above 255 classes)."""
        return self.logits(image).argmax(1).to(self.label_dtype)
