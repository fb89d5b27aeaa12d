"""Keep a session of its own for each of the few shapes that come again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fcn_deploy.graph.ports import GraphIO
from fcn_deploy.runners.ort.fixed import TRYING_S, TUNING_S, FixedPort, FixedSessions
from fcn_deploy.runners.ort.fixed_session import FixedSession
from fcn_deploy.runners.ort.gpu_arrays import element_type
from fcn_deploy.runners.ort.options import CUDA
from fcn_deploy.runners.repeats import CAPACITY, MOST_COUNTED, RepeatedShapes
from fcn_deploy.vocabulary import Shape


def capacity(opener: FixedSessions) -> int:
    """Return how many shapes may have a session of their own."""
    asked = opener.asked.fixed_shapes
    return asked if asked is not None else CAPACITY * (opener.provider == CUDA)


class FixedPool(RepeatedShapes[FixedSession]):
    """What `opener` opens for shapes that come again; the first run of a shape says what its outputs will be."""

    def __init__(
        self,
        opener: FixedSessions,
        io: GraphIO,
        fetches: Sequence[str],
        dims: Sequence[int | str | None],
        worth: Callable[[Shape], bool],
        patient: Callable[[], bool],
    ) -> None:
        """Begin with none.

        Args:
            dims: of the input as the file has them.
            worth: whether a shape that came again is opened for.
            patient: whether choosing a session's options may take long, because opening is not timed.
        """
        super().__init__(self._open, what="session of its own", capacity=capacity(opener), worth=self._is_worth_it)
        self._worth_of_any, self._patient = worth, patient
        self._opener, self._io, self._fetches, self._dims = opener, io, fetches, dims
        self._outputs: dict[Shape, tuple[FixedPort, ...]] = {}

    def learn(self, shape: Shape, outputs: Sequence[Any]) -> None:
        """Note dims and types of the outputs that the session for any shape gave for `shape`."""
        if shape not in self._outputs:
            if len(self._outputs) >= MOST_COUNTED:
                self._outputs.clear()
            self._outputs[shape] = tuple(
                FixedPort(name, tuple(value.shape()), element_type(value.data_type()))
                for name, value in zip(self._fetches, outputs, strict=True)
            )

    def _is_worth_it(self, shape: Shape) -> bool:
        return shape in self._outputs and self._worth_of_any(shape)

    def _open(self, shape: Shape) -> FixedSession:
        batch, height, width = shape
        kind = np.dtype(self._io.image_type)
        dims = (batch, height, width, 3) if kind == np.uint8 else (batch, 3, height, width)
        image = FixedPort(self._io.image, dims, kind)
        limit_s = TUNING_S if self._patient() else TRYING_S
        return self._opener.open(self._dims, image, self._outputs[shape], limit_s)
