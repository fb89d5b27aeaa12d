"""Look at the scores behind labels that may have been made of NaN: an arg max takes one of the classes for that too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.errors import FcnDeployError, ScoreError
from fcn_deploy.model_file import kind_of
from fcn_deploy.system.scratch import scratch_folder
from fcn_deploy.vocabulary import INPUT, LABELS

LOOKS = 3  # at images of one class, by each runner
LARGEST = 1024  # rows and columns of which scores are computed; labels of one class show no place that matters more


class ScoreCheck:
    """Look at the scores of images whose labels are all of one class, as those of scores that are no numbers are.

    Every image's scores would take a memory and time of their own; images of one class are rare, and the first few
    are enough.
    """

    def __init__(self, source: str, open_logits: Callable[[str], Any]) -> None:
        """`open_logits` opens a file in a runner as that of `source` does, with logits for its only output."""
        self._source, self._open, self._left = source, open_logits, LOOKS

    def check(self, image: Any, outputs: dict[str, Any]) -> dict[str, Any]:
        """Return the outputs of `image` uint8[N, H, W, 3]; ScoreError if their labels were made of no numbers."""
        labels = outputs.get(LABELS)
        if not isinstance(image, np.ndarray) or not isinstance(labels, np.ndarray):
            return outputs
        for own, pixels in zip(image, labels, strict=True):
            if self._left and is_constant(pixels):
                self._left -= 1
                self._look(own[None])
        return outputs

    def _look(self, image: NDArray[np.uint8]) -> None:
        """Run an image, or a part of a large one, for its logits, as far as the model shows them."""
        try:
            self._run(self._source, image)
        except ScoreError:
            raise
        except FcnDeployError:
            if kind_of(self._source) == "onnx":
                self._look_behind_labels(image)

    def _look_behind_labels(self, image: NDArray[np.uint8]) -> None:
        from fcn_deploy.graph.contract_io import write_scores

        with scratch_folder() as folder:
            target = Path(folder, "scores.onnx")
            try:
                write_scores(Path(self._source), target)
                self._run(str(target), image)
            except ScoreError:
                raise
            except FcnDeployError:  # its labels are made in another way
                return

    def _run(self, file: str, image: NDArray[np.uint8]) -> None:
        with self._open(file) as runner:
            part = image[:, :LARGEST, :LARGEST]
            runner.infer({INPUT: part if runner.accepts(part.shape[:3]) else image})


def is_constant(labels: NDArray[Any]) -> bool:
    """Return whether all labels [H, W] are the same; a few of them mostly show that they are not."""
    rows, columns = (max(side // 8, 1) for side in labels.shape)
    first = labels[0, 0]
    return bool((labels[::rows, ::columns] == first).all() and (labels == first).all())
