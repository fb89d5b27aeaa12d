"""What every runner keeps: uint8[N, H, W, 3] RGB in, a label map out, in three steps that can be timed apart."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import RunnerError, ShapeError
from fcn_deploy.vocabulary import INPUT, LABELS, Shape

Arrays = Mapping[str, NDArray[Any]]


class Runner(ABC):
    """One loaded model on one device. Use as a context manager; not thread-safe.

    Attributes:
        name: what the user asked for ("onnxruntime:cuda").
        card: the model card, None where the file has none.
        output_names: the outputs that `download` returns.
        notes: what a reader of a measurement must know (work done on the host, nodes left to another device).
        device_ns: nanoseconds of the last upload, execute and download by events on the device; None where there
            are none, or nobody set `time_on_device`.

    A backend writes `_upload`, `_execute`, `_download` and `_close`; the checks are here.
    """

    def __init__(self, name: str, card: ModelCard | None, output_names: tuple[str, ...] = (LABELS,)) -> None:
        self.name = name
        self.card = card
        self.output_names = output_names
        self.notes: tuple[str, ...] = ()
        self.time_on_device = False
        self.device_ns: tuple[int, int, int] | None = None
        self._state = "opened"

    def upload(self, feeds: Arrays) -> None:
        """Bring `image` uint8[N, H, W, 3] to where the device reads it; returns when it is there.

        Raises:
            ShapeError: another name, type or shape.
            RunnerError: the runner is closed, or the device refused.
        """
        self._require("opened", "uploaded", "executed")
        self._upload(image_of(feeds))
        self._state = "uploaded"

    def execute(self) -> None:
        """Run the network on what was uploaded; returns when the device is done, not when it was asked.

        Raises:
            RunnerError: nothing was uploaded, the runner is closed, or the device failed.
        """
        self._require("uploaded", "executed")
        self._execute()
        self._state = "executed"

    def download(self) -> dict[str, NDArray[Any]]:
        """Labels uint8|int32[N, H, W], logits float32[N, C, H, W], as host arrays that belong to the caller.

        Raises:
            RunnerError: nothing was executed, the runner is closed, or the device failed.
        """
        self._require("executed")
        return self._download()

    def infer(self, feeds: Arrays) -> dict[str, NDArray[Any]]:
        """Upload, execute, download."""
        self.upload(feeds)
        self.execute()
        return self.download()

    def twin(self) -> Runner | None:
        """Another runner over the same loaded weights, for another thread; None where this kind has none.

        Each is closed for itself, and the weights go with the last.
        """
        return None

    def accepts(self, shape: Shape) -> bool:
        """Whether images of (N, H, W) may be run; the model's own bounds, not those of memory."""
        return True

    def close(self) -> None:
        """Let go of the model and the device; a second call does nothing."""
        if self._state != "closed":
            self._state = "closed"
            self._close()

    def __enter__(self) -> Runner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def _upload(self, image: NDArray[np.uint8]) -> None: ...

    @abstractmethod
    def _execute(self) -> None: ...

    @abstractmethod
    def _download(self) -> dict[str, NDArray[Any]]: ...

    @abstractmethod
    def _close(self) -> None: ...

    def _require(self, *states: str) -> None:
        if self._state in states:
            return
        if self._state == "closed":
            raise RunnerError(f"runner {self.name} is closed; open it again")
        raise RunnerError(f"runner {self.name}: upload, execute and download go in this order")


def image_of(feeds: Arrays) -> NDArray[np.uint8]:
    """The one feed, checked and contiguous.

    Raises:
        ShapeError: saying what was found and what is needed.
    """
    if set(feeds) != {INPUT}:
        raise ShapeError(f"the feeds are {sorted(feeds)}; needed is '{INPUT}' alone")
    image = np.asarray(feeds[INPUT])
    if image.dtype != np.uint8 or image.ndim != 4 or image.shape[3] != 3 or 0 in image.shape:
        raise ShapeError(
            f"'{INPUT}' is {image.dtype}{list(image.shape)}; needed is uint8[N, H, W, 3], RGB, with N, H, W >= 1"
        )
    return np.ascontiguousarray(image)


def check_labels(name: str, labels: NDArray[Any], num_classes: int) -> None:
    """RunnerError if the runner `name` gave a label that is none of the classes."""
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= num_classes:
        outside = lowest if lowest < 0 else highest
        raise RunnerError(f"{name} gives label {outside}, but there are {num_classes} classes")
