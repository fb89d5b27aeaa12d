"""Run the network with slips before it, once for each combination."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.diagnosis.slips.geometry import nearest
from fcn_deploy.diagnosis.slips.network import CutNetwork
from fcn_deploy.diagnosis.slips.saturating import SaturatingNetwork
from fcn_deploy.diagnosis.slips.slip import Bytes, ForeignFrame, Labels, Slip
from fcn_deploy.diagnosis.slips.ties import Ties
from fcn_deploy.diagnosis.slips.views import FrameView

Key = tuple[str, ...]
_KEPT = 4  # images, before the network


@dataclass(frozen=True)
class Made:
    """Labels of a view.

    Attributes:
        size: (H, W) of the map that they are a part of.
        ties: of a slip between logits and labels, which compares scores that differ little.
    """

    labels: Labels
    size: tuple[int, ...]
    ties: Ties | None = None


class Forward:
    """Run the network with slips before it.

    Label maps are kept, since each is compared many times. Logits are kept for the last combination alone, since slips
    between logits and labels follow at once.

    Attributes:
        runs: how often the network ran.
        saturating: the reference for slips that are `saturated`; None runs the reference itself.
    """

    def __init__(
        self,
        reference: CutNetwork,
        others: Mapping[str, CutNetwork] | None = None,
        saturating: SaturatingNetwork | None = None,
    ) -> None:
        self._reference, self._others, self.saturating = reference, others or {}, saturating
        self._labels: dict[Key, Made | None] = {}
        self._images: dict[Key, Bytes] = {}
        self._key: Key = ()
        self._made: dict[Key, tuple[NDArray[Any], tuple[int, ...]] | None] = {}
        self.runs = 0

    def __call__(self, front: Sequence[Slip], scores: Slip | None, view: FrameView) -> Made | None:
        """Return the labels of a view.

        Args:
            front: slips before the network, in order.
            scores: a slip between logits and labels, which needs whole maps.

        Returns:
            None where the network does not take such an image, gives no logits, or the view is a part and `scores`
            needs all.
        """
        key = (*(slip.name for slip in (*front, *([scores] if scores else []))), view.frame.name, str(view.window))
        if key not in self._labels:
            self._labels[key] = self._made_of(front, scores, view)
        return self._labels[key]

    def _made_of(self, front: Sequence[Slip], scores: Slip | None, view: FrameView) -> Made | None:
        if scores is not None and view.window is not None:
            return None
        found = self._outputs(front, view)
        if found is None:
            return None
        output, size = found
        if scores is not None:
            if output.ndim != 3 or scores.scores is None:
                return None
            compared = scores.scores(output)
            labels = compared.argmax(0)
            return Made(_narrow(labels), labels.shape, Ties.of(compared))
        labels = output.argmax(0) if output.ndim == 3 else output
        if view.window is None:
            return Made(_narrow(labels), labels.shape)
        outer, inner = view.crop((size[0], size[1]))
        cut = nearest(labels, (outer[0].stop - outer[0].start, outer[1].stop - outer[1].start))
        return Made(_narrow(cut[inner]), size)

    def _outputs(self, front: Sequence[Slip], view: FrameView) -> tuple[NDArray[Any], tuple[int, ...]] | None:
        """Return logits [C, H, W] or labels [H, W] of the crop, and the size of the whole image."""
        key = tuple(slip.name for slip in front)
        if key != self._key:
            self._key, self._made = key, {}
        place = (view.frame.name, str(view.window))
        if place not in self._made:
            self._made[place] = self._run(front, view)
        return self._made[place]

    def _run(self, front: Sequence[Slip], view: FrameView) -> tuple[NDArray[Any], tuple[int, ...]] | None:
        image = self._image(front, view.frame)
        cropped = image[view.crop(image.shape[:2])[0]]
        network = self._network(front)
        values = next((slip.values for slip in front if slip.values is not None), None)
        right = network.normalisation
        made = network.normalise(cropped) if values is None else values(cropped.astype(np.float32), right)
        self.runs += 1
        try:
            return network.scores(made.astype(np.float32, copy=False)), image.shape[:2]
        except Exception:  # ONNX Runtime's own: a file of fixed size, for one
            if not front:
                raise
            return None

    def _network(self, front: Sequence[Slip]) -> CutNetwork:
        other = next((slip.network for slip in front if slip.network is not None), None)
        if other is not None:
            return self._others[other]
        saturated = self.saturating is not None and any(slip.saturated for slip in front)
        return (self.saturating.open() if self.saturating is not None and saturated else None) or self._reference

    def _image(self, front: Sequence[Slip], frame: ForeignFrame) -> Bytes:
        """Return the image with the slips before its normalisation; the last few are kept."""
        image = frame.image
        key: Key = (frame.name,)
        for slip in front:
            if slip.image is None and not slip.stored:
                continue
            key = (*key, slip.name)
            if key not in self._images:
                while len(self._images) >= _KEPT:
                    del self._images[next(iter(self._images))]
                stored = frame.raw if slip.stored and frame.raw is not None else image
                self._images[key] = stored if slip.image is None else slip.image(stored)
            image = self._images[key]
        return image


def _narrow(labels: Labels) -> Labels:
    """Return labels in 16 bits, or 32 where they do not fit: many maps are kept."""
    return labels.astype(np.int16 if labels.size and labels.max() < 2**15 - 1 else np.int32)
