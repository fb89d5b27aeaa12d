"""Keep the frames on which a row's labels differ most from the reference's, small enough for a page to show them.

A record holds counts and no pictures; these live as long as the process that measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.card import ignore_index_for, voc_palette
from fcn_deploy.data.sample import Colour, Sample

Labels = NDArray[Any]
WORST = 3
LONGEST = 512  # pixels of the longer side, at most; larger frames are subsampled by a whole factor

# The codes of a difference map; where several pixels become one, the largest code is kept, so that none is lost.
ALIKE, UNLABELLED, BOTH_WRONG, GAINED, LOST = range(5)


@dataclass(frozen=True)
class WorstFrame:
    """One image, subsampled by `factor` to at most 512 pixels per side; the counts are of all its pixels.

    Attributes:
        image: uint8[h, w, 3].
        truth: integer[h, w]; None without ground truth.
        reference, labels: integer[h, w], the reference's and the row's.
        difference: uint8[h, w]: ALIKE; UNLABELLED: other labels where the truth is not known; BOTH_WRONG: other
            labels, neither true; GAINED: the row's is true; LOST: the reference's is.
        counts: pixels of each of the five at full size.
    """

    name: str
    image: NDArray[np.uint8]
    truth: Labels | None
    reference: Labels
    labels: Labels
    difference: NDArray[np.uint8]
    counts: tuple[int, ...]
    factor: int = 1

    @property
    def differing(self) -> int:
        """Pixels whose labels differ."""
        return sum(self.counts) - self.counts[ALIKE]


@dataclass
class WorstFrames:
    """Collect the worst frames of each row; give it to `run_bench`, and to the page that shows them.

    Attributes:
        most: how many frames of each row.
        classes, palette: name and colour of each label; the data set's, once it is open.
        rows: the frames of each row by its place in the record, the worst first; frames without a difference are
            not kept.
    """

    most: int = WORST
    classes: Sequence[str] = ()
    palette: Sequence[Colour] = ()
    rows: dict[int, list[WorstFrame]] = field(default_factory=dict)
    _places: Sequence[int] = ()

    def begin(self, classes: Sequence[str], palette: Sequence[Colour], places: Sequence[int]) -> None:
        """Set the names of the labels, and which row of the record each runner of the comparison is."""
        self.classes = classes
        self.palette = palette if len(palette) == len(classes) else voc_palette(len(classes))
        self._places = places

    def offer(self, runner: int, sample: Sample, reference: Labels, labels: Labels) -> None:
        """Keep the frame if it is one of the worst so far; both label maps are integer[H, W]."""
        kept = self.rows.setdefault(self._places[runner], [])
        share = float((reference != labels).mean())
        if share == 0 or (len(kept) == self.most and share <= _share(kept[-1])):
            return
        kept.append(reduced(sample, reference, labels, ignore_index_for(len(self.classes))))
        kept.sort(key=_share, reverse=True)
        del kept[self.most :]


def _share(frame: WorstFrame) -> float:
    return frame.differing / sum(frame.counts)


def reduced(sample: Sample, reference: Labels, labels: Labels, ignore_index: int = 255) -> WorstFrame:
    """Return the frame at most LONGEST pixels per side: every `factor`-th pixel, and the worst of the differences."""
    codes = difference(sample.label, reference, labels, ignore_index)
    factor = -(-max(codes.shape) // LONGEST)
    thin = (slice(None, None, factor),) * 2
    truth = None if sample.label is None else sample.label[thin].copy()
    return WorstFrame(
        sample.name, sample.image[thin].copy(), truth, reference[thin].copy(), labels[thin].copy(),
        _worst_code(codes, factor), tuple(np.bincount(codes.ravel(), minlength=5).tolist()), factor,
    )  # fmt: skip


def difference(truth: Labels | None, reference: Labels, labels: Labels, ignore_index: int) -> NDArray[np.uint8]:
    """Return uint8[H, W] of the five codes."""
    differ = reference != labels
    codes: NDArray[np.uint8] = np.where(differ, UNLABELLED, ALIKE).astype(np.uint8)
    if truth is not None:
        known = differ & (truth != ignore_index)
        codes[known] = BOTH_WRONG
        codes[known & (labels == truth)] = GAINED
        codes[known & (reference == truth)] = LOST
    return codes


def _worst_code(codes: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Return the maximum of each factor x factor block; blocks at the lower and right border may be smaller."""
    rows = np.maximum.reduceat(codes, np.arange(0, codes.shape[0], factor), axis=0)
    worst: NDArray[np.uint8] = np.maximum.reduceat(rows, np.arange(0, codes.shape[1], factor), axis=1)
    return worst
