"""Generated street scenes with exact labels, for demos, tests and calibration without a download.

Each scene depends on (seed, index) alone. Colours, light and texture vary from scene to scene and overlap between
classes (green walls, grey cars, bright signs before a bright sky), so that a pixel's colour does not give its class
away. Poles are 1 to 3 pixels wide and signs small: what coarse output and lost precision lose first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import DataError
from .sample import Colour, Sample
from .scene import render_scene

SYNTHETIC_CLASSES = ("sky", "building", "vegetation", "road", "pole", "sign", "car", "person")
SYNTHETIC_PALETTE: tuple[Colour, ...] = (
    (70, 130, 180), (70, 70, 70), (107, 142, 35), (128, 64, 128),
    (190, 190, 150), (220, 220, 0), (0, 0, 142), (220, 20, 60),
)  # fmt: skip
DEFAULT_COUNT = 32
DEFAULT_SIZE = (192, 256)
_SOURCE = re.compile(r"synthetic(?::(\d+)(?::(\d+)(?::(\d+)x(\d+))?)?)?")


@dataclass(frozen=True)
class SyntheticDataset:
    """`count` scenes of `size` (height, width); scene i is the same whatever `count` is."""

    count: int = DEFAULT_COUNT
    seed: int = 0
    size: tuple[int, int] = DEFAULT_SIZE

    @cached_property
    def name(self) -> str:
        return f"synthetic:{self.count}:{self.seed}:{self.size[0]}x{self.size[1]}"

    @property
    def classes(self) -> tuple[str, ...]:
        return SYNTHETIC_CLASSES

    @property
    def palette(self) -> tuple[Colour, ...]:
        return SYNTHETIC_PALETTE

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self.count:
            raise IndexError(f"scene {index} of {self.count}")
        image, label = render_scene(np.random.default_rng((self.seed, index)), *self.size)
        return Sample(image, label, f"synthetic:{self.seed}:{index}")


def open_source(source: str) -> SyntheticDataset:
    """Read "synthetic", "synthetic:COUNT[:SEED[:HEIGHTxWIDTH]]"; DataError if it is something else."""
    match = _SOURCE.fullmatch(source)
    if match is None:
        raise DataError(
            f"'{source}' is not a data set; needed synthetic:COUNT:SEED:HEIGHTxWIDTH, such as synthetic:32:0:192x256"
        )
    count, seed, height, width = (None if part is None else int(part) for part in match.groups())
    size = DEFAULT_SIZE if height is None or width is None else (height, width)
    if count == 0 or 0 in size:
        raise DataError(f"'{source}' is empty; needed at least one scene of at least 1 x 1 pixel")
    return SyntheticDataset(DEFAULT_COUNT if count is None else count, seed or 0, size)
