"""Wrap a PyTorch model in the contract of all runners: uint8[N, H, W, 3] RGB in, labels, confidence or logits out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fcn_deploy.card import ModelCard
from fcn_deploy.vocabulary import CONFIDENCE, LABELS, LOGITS, PROBABILITIES, Size


class Contract(nn.Module):
    """`model` from the raw image on.

    The arithmetic, (x - mean) / std in float32 after reordering the channels, is the same, operation by operation,
    as in the exported graph. Where the card has a network size, the float image is resized to it before that, and the
    logits back to the image's size: bilinear, half-pixel centres, no antialias.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, card: ModelCard) -> None:
        super().__init__()
        self.model = model
        self.flip = card.channel_order == "BGR"
        self.sizing, self.divisor = card.sizing, card.divisor
        self.label_dtype = torch.int32 if card.wide_labels else torch.uint8
        self.register_buffer("mean", torch.tensor(card.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(card.std).view(1, 3, 1, 1), persistent=False)

    def normalise(self, image: Tensor) -> Tensor:
        """uint8[N, H, W, 3] RGB -> float32[N, 3, H, W], normalised as the network expects it."""
        return self._normalised(self._channels(image))

    def prepare(self, image: Tensor) -> Tensor:
        """uint8[N, H, W, 3] RGB -> what the network gets: normalised, and of its size."""
        return self._normalised(self.to_network_size(self._channels(image)))

    def logits(self, image: Tensor) -> Tensor:
        """uint8[N, H, W, 3] -> float32[N, C, H, W]."""
        return self.to_image_size(self.model(self.prepare(image)), image)

    def forward(self, image: Tensor) -> Tensor:
        """uint8[N, H, W, 3] -> labels uint8[N, H, W] (int32 above 255 classes)."""
        return self.logits(image).argmax(1).to(self.label_dtype)

    def to_network_size(self, x: Tensor) -> Tensor:
        """float32[N, 3, H, W] of the image's size -> of the network's."""
        if self.sizing is None:
            return x
        return _resized(x, self.sizing.of((x.shape[2], x.shape[3]), self.divisor))

    def to_image_size(self, logits: Tensor, image: Tensor) -> Tensor:
        """[N, C, h, w] of the network -> [N, C, H, W] of `image` uint8[N, H, W, 3]."""
        return logits if self.sizing is None else _resized(logits, (image.shape[1], image.shape[2]))

    def outputs(self, image: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """Return the tensors that `names` (of `RUNNER_OUTPUTS`) asks for, of `image` uint8[N, H, W, 3].

        labels uint8|int32[N, H, W], confidence uint8[N, H, W], logits and probabilities float32[N, C, H, W].
        """
        logits = self.logits(image)
        made: dict[str, Callable[[], Tensor]] = {
            LABELS: lambda: logits.argmax(1).to(self.label_dtype),
            CONFIDENCE: lambda: confidence_of(logits),
            LOGITS: logits.float,
            PROBABILITIES: lambda: logits.float().softmax(1),
        }
        return {name: made[name]() for name in names}

    def _channels(self, image: Tensor) -> Tensor:
        """uint8[N, H, W, 3] RGB -> float32[N, 3, H, W], the channels in the network's order."""
        x = image.permute(0, 3, 1, 2).to(torch.float32)
        return x.flip(1) if self.flip else x

    def _normalised(self, x: Tensor) -> Tensor:
        return ((x - self.mean) / self.std).contiguous()


def confidence_of(logits: Tensor) -> Tensor:
    """Return the confidence uint8[N, H, W] of [N, C, H, W] logits, by the formula of `graph.confidence`."""
    x = logits.float()
    return (255 / (x - x.amax(1, keepdim=True)).exp().sum(1)).round().to(torch.uint8)


def _resized(x: Tensor, size: Size) -> Tensor:
    return F.interpolate(x, size, mode="bilinear", align_corners=False)
