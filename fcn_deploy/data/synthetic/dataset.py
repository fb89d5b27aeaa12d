"""Generate street scenes with exact labels, for demos, tests and calibration without a download.

Each scene depends on (seed, index) alone. Colours, light and texture vary from scene to scene and overlap between
classes (green walls, grey cars, bright signs before a bright sky), so that a pixel's colour does not give its class
away. Poles are 1 to 3 pixels wide and signs small: what coarse output and lost precision lose first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from fcn_deploy.data.classes import ClassList
from fcn_deploy.data.labels import LabelRule
from fcn_deploy.data.sample import Colour, LabelPair, Sample
from fcn_deploy.data.synthetic.scene import render_scene
from fcn_deploy.errors import DataError

SYNTHETIC_CLASSES = ("sky", "building", "vegetation", "road", "pole", "sign", "car", "person")
SYNTHETIC_PALETTE: tuple[Colour, ...] = (
    (70, 130, 180), (70, 70, 70), (107, 142, 35), (128, 64, 128),
    (190, 190, 150), (220, 220, 0), (0, 0, 142), (220, 20, 60),
)  # fmt: skip
DEFAULT_COUNT = 32
DEFAULT_SIZE = (192, 256)
LONGEST_SCENE = 8192  # drawn whole, with 80 bytes per pixel meanwhile
LONGEST_NUMBER = 18  # digits of a count or a seed
_SOURCE = re.compile(r"synthetic(?::(\d+)(?::(\d+)(?::(\d+)x(\d+))?)?)?", re.ASCII)


@dataclass(frozen=True)
class SyntheticDataset:
    """`count` scenes of `size` (height, width); scene i is the same whatever `count` is.

    Attributes:
        classes: what the eight classes are called.
        ignore_index: a class whose pixels are unlabelled.
    """

    count: int = DEFAULT_COUNT
    seed: int = 0
    size: tuple[int, int] = DEFAULT_SIZE
    classes: tuple[str, ...] = SYNTHETIC_CLASSES
    ignore_index: int | None = None

    @cached_property
    def name(self) -> str:
        return f"synthetic:{self.count}:{self.seed}:{self.size[0]}x{self.size[1]}"

    @property
    def palette(self) -> tuple[Colour, ...]:
        return SYNTHETIC_PALETTE

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self.count:
            raise IndexError(f"scene {index} of {self.count}")
        image, label = render_scene(np.random.default_rng((self.seed, index)), *self.size)
        name = f"synthetic:{self.seed}:{index}"
        return Sample(image, LabelRule(len(self.classes), self.ignore_index).apply(label, Path(name)), name)

    def read_label(self, index: int) -> LabelPair | None:
        label = self[index].label
        return None if label is None else (label, label)


def open_source(source: str, classes: Sequence[str] | None = None, ignore_index: int | None = None) -> SyntheticDataset:
    """Read "synthetic", "synthetic:COUNT[:SEED[:HEIGHTxWIDTH]]".

    Args:
        classes: other names for the eight classes.
        ignore_index: a class whose pixels shall be unlabelled.

    Raises:
        DataError: it is something else, is empty or too large, or `classes` are not eight good names.
    """
    match = _SOURCE.fullmatch(source)
    if match is None:
        raise DataError(
            f"'{source}' is not a data set; expected synthetic:COUNT:SEED:HEIGHTxWIDTH, such as synthetic:32:0:192x256"
        )
    if any(part is not None and len(part.lstrip("0")) > LONGEST_NUMBER for part in match.groups()):
        raise DataError(f"'{source}' has a number of more than {LONGEST_NUMBER} digits; give a smaller one")
    count, seed, height, width = (None if part is None else int(part) for part in match.groups())
    size = DEFAULT_SIZE if height is None or width is None else (height, width)
    if count == 0 or 0 in size:
        raise DataError(f"'{source}' is empty; expected at least one scene of at least 1 x 1 pixel")
    if max(size) > LONGEST_SCENE:
        raise DataError(f"'{source}' has scenes with a side of more than {LONGEST_SCENE} pixels; give a smaller size")
    names = SYNTHETIC_CLASSES if classes is None else ClassList.of(classes).names
    if len(names) != len(SYNTHETIC_CLASSES):
        raise DataError(
            f"generated scenes have {len(SYNTHETIC_CLASSES)} classes ({', '.join(SYNTHETIC_CLASSES)}), but "
            f"{len(names)} names were given"
        )
    return SyntheticDataset(DEFAULT_COUNT if count is None else count, seed or 0, size, names, ignore_index)
