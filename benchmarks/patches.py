"""An FCN's coarse scores as what they are: a classifier of patches, slid over an image.

Layers in front of the coarse scores pad with zeros, and so does a layer of the classifier where its patch ends with
the image; where the patch ends inside, the image goes on, and nothing is padded. A patch that is the whole receptive
field of a score thus gives that score, and no other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor, nn
from torch.nn import functional

from fcn_deploy.models.fcn_vgg import FCN

Sides = tuple[bool, bool, bool, bool]  # left, right, top, bottom: where a patch ends with the image


@dataclass(frozen=True)
class Reach:
    """Score i of a row is made of pixels stride * i - before .. stride * i - before + size - 1."""

    stride: int
    before: int
    size: int


@dataclass(frozen=True)
class Patch:
    """The part of one score's receptive field that lies in the image.

    Attributes:
        row, column: of the score.
        rows, columns: of the image.
    """

    row: int
    column: int
    rows: slice
    columns: slice
    ends: Sides

    @property
    def form(self) -> tuple[int, int, Sides]:
        """Patches of one form can be put together."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start, self.ends

    @property
    def own(self) -> tuple[int, int]:
        """Which of the scores that the classifier gives is this patch's: nothing comes before it but at a border."""
        left, _, top, _ = self.ends
        return self.row if top else 0, self.column if left else 0


class Classifier:
    """`network` up to its coarse scores."""

    def __init__(self, network: FCN) -> None:
        self.layers = list(_layers(network))
        self.reach = reach_of(self.layers)
        self._multiply_adds = 0

    def whole(self, image: Tensor) -> Tensor:
        """float32[1, 3, H, W] normalised -> scores float32[C, ceil(H / stride), ceil(W / stride)], in one pass."""
        return self._classify(image, (True, True, True, True))[0]

    def slide(self, image: Tensor, cut: Sequence[Patch], *, batch: int) -> Tensor:
        """Return the same, each score from its own patch; `batch` patches of one form together."""
        scores: list[Tensor] = []
        ordered = sorted(cut, key=lambda patch: patch.form)
        for form, group in groupby(ordered, key=lambda patch: patch.form):
            for some in _batches(list(group), batch):
                found = self._classify(torch.cat([image[..., patch.rows, patch.columns] for patch in some]), form[2])
                scores += [found[at, :, patch.own[0], patch.own[1]] for at, patch in enumerate(some)]
        return _as_map(scores, ordered)

    def slide_extended(self, image: Tensor, cut: Sequence[Patch]) -> Tensor:
        """Return the scores of a plain sliding window: whole patches, zeros around the image."""
        reach = self.reach
        after = reach.size + reach.stride
        extended = functional.pad(image, (reach.before, after, reach.before, after))
        inside = [
            Patch(
                patch.row,
                patch.column,
                slice(reach.stride * patch.row, reach.stride * patch.row + reach.size),
                slice(reach.stride * patch.column, reach.stride * patch.column + reach.size),
                (False, False, False, False),
            )
            for patch in cut
        ]
        return self.slide(extended, inside, batch=1)

    def multiply_adds(self, call: Callable[[], object]) -> int:
        """Count those of the convolutions that `call` runs: elements of the result times weights per element."""
        self._multiply_adds = 0
        call()
        return self._multiply_adds

    def _classify(self, x: Tensor, ends: Sides) -> Tensor:
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d):
                padding = _padding(layer)
                if padding and any(ends) and not all(ends):
                    x = functional.pad(x, [padding * end for end in ends])
                x = functional.conv2d(x, layer.weight, layer.bias, padding=padding if all(ends) else 0)
                self._multiply_adds += x.numel() * math.prod(layer.weight.shape[1:])
            else:
                x = layer(x)
        return x


def _layers(network: FCN) -> Iterator[nn.Module]:
    """In the order of `FCN.coarse_scores`; dropout does nothing outside training."""
    for stage in network.backbone.children():
        yield from stage.children()
    if network.head == "fc":
        yield from (network.fc6, network.relu6, network.fc7, network.relu7)
    yield network.score_fr


def reach_of(layers: Sequence[nn.Module]) -> Reach:
    """From the last layer back: a kernel k adds k - 1 before the strides of the layers in front multiply it."""
    stride, first, size = 1, 0, 1
    for layer in reversed(layers):
        if isinstance(layer, nn.Conv2d):
            first, size = first - _padding(layer), size + layer.kernel_size[0] - 1
        elif isinstance(layer, nn.MaxPool2d):
            stride, first, size = 2 * stride, 2 * first, 2 * size
    return Reach(stride, -first, size)


def patches(reach: Reach, image: Sequence[int], scores: Sequence[int]) -> list[Patch]:
    """One for each score, for an image and a map of scores of these (height, width)."""
    rows, columns = ([_span(reach, at, image[axis]) for at in range(scores[axis])] for axis in (0, 1))
    return [
        Patch(
            row, column, along, across, (*_ends(across, image[1], reach, column), *_ends(along, image[0], reach, row))
        )
        for row, along in enumerate(rows)
        for column, across in enumerate(columns)
    ]


def inner_patches(cut: Sequence[Patch]) -> list[Patch]:
    """Return those that end inside the image at all sides."""
    return [patch for patch in cut if not any(patch.ends)]


def _span(reach: Reach, at: int, side: int) -> slice:
    start = reach.stride * at - reach.before
    return slice(max(0, start), min(side, start + reach.size))


def _ends(span: slice, side: int, reach: Reach, at: int) -> tuple[bool, bool]:
    """Whether the receptive field goes on past the image: before it, behind it."""
    start = reach.stride * at - reach.before
    return start < 0, start + reach.size > side


def _as_map(scores: Sequence[Tensor], cut: Sequence[Patch]) -> Tensor:
    """[C] of each patch -> [C, h, w]."""
    size = 1 + max(patch.row for patch in cut), 1 + max(patch.column for patch in cut)
    whole = torch.full((len(scores[0]), *size), math.nan)
    for patch, score in zip(cut, scores, strict=True):
        whole[:, patch.row, patch.column] = score
    return whole


def _batches(group: Sequence[Patch], batch: int) -> Iterator[Sequence[Patch]]:
    for start in range(0, len(group), batch):
        yield group[start : start + batch]


def _padding(layer: nn.Conv2d) -> int:
    padding = layer.padding[0]
    assert isinstance(padding, int)
    return padding
