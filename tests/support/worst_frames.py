"""Frames of zeros whose labels differ in as many pixels as a test says."""

from __future__ import annotations

import numpy as np

from fcn_deploy.benchmark.worst_frames import WorstFrames
from fcn_deploy.data.sample import Sample

PALETTE = ((10, 20, 30), (40, 50, 60), (70, 80, 90))


def sample(name: str, height: int = 5, width: int = 7) -> Sample:
    return Sample(np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.uint8), name)


def offered(kept: WorstFrames, name: str, differing: int, row: int = 0) -> None:
    reference = np.zeros((5, 7), np.uint8)
    labels = reference.copy()
    labels.flat[:differing] = 1
    kept.offer(row, sample(name), reference, labels)
