"""Turn the counts of a record into arrays that a budget is judged by."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from fcn_deploy.benchmark.record.measurement import Accuracy
from fcn_deploy.metrics.budget import ImageCounts


@lru_cache(maxsize=32)  # one row is judged by the gate, the answer and the page
def image_counts(accuracy: Accuracy) -> ImageCounts:
    """Return the counts of each image, or their sum where the record does not hold them."""
    overall, boundary = (
        np.array(each or (total,), np.int64)
        for each, total in (
            (accuracy.by_image, accuracy.overall),
            (accuracy.boundary_by_image, accuracy.boundary),
        )
    )
    return ImageCounts(overall, boundary, accuracy.images)
