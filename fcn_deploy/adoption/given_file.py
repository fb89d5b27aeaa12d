"""The given file in ONNX Runtime: what an adopted file is proven against, and the sizes that it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from fcn_deploy.adoption.image_port import ImagePort
from fcn_deploy.adoption.score_port import ScorePort
from fcn_deploy.card import ModelCard
from fcn_deploy.errors import GraphError, first_line
from fcn_deploy.graph.session import open_cpu_session, readable
from fcn_deploy.onnx_export.proof import random_image
from fcn_deploy.vocabulary import Shape, Size, shape_text

# Sides that most networks take, where the file fixes none: the first that runs shows what the outputs are.
TRIED = ((1, 64, 96), (1, 128, 192), (1, 256, 384), (1, 224, 224), (1, 512, 512))
ODD = ((1, 33, 47), (1, 63, 97), (1, 101, 157))
# For networks that halve an image more often than 33 pixels can be.
LARGER_ODD = ((1, 129, 163), (1, 191, 257))
DIVISORS = (2, 4, 8, 14, 16, 28, 32, 64, 128)
SMALLEST_SIDE = 32


class GivenFile:
    """The file as it is, on normalised images."""

    def __init__(self, path: Path, port: ImagePort, card: ModelCard) -> None:
        """Open it; `card` has the normalisation.

        Raises:
            GraphError: ONNX Runtime cannot.
        """
        self.path, self.port, self.card = path, port, card
        self.odd: Sequence[Shape] = ODD
        with readable(path) as file:
            self._session = open_cpu_session(file, shown=path)
        self.names = [output.name for output in self._session.get_outputs()]

    def run(self, image: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Return every output for [N, H, W, 3] RGB of 0..255; what ONNX Runtime raises goes through."""
        results = self._session.run(self.names, self.port.feed(image, self.card))
        return dict(zip(self.names, results, strict=True))

    def first_run(self, size: Size | None = None) -> tuple[Shape, dict[str, NDArray[Any]]]:
        """Run the first size that it takes, or `size`: (N, H, W) and the outputs.

        Raises:
            GraphError: it takes none of them; ONNX Runtime's words on the last.
        """
        trouble: object = ""
        tried = TRIED if size is None else ((1, *size),)
        for shape in dict.fromkeys(map(self.port.bound, tried)):
            try:
                return shape, self.run(random_image(shape, 0))
            except Exception as error:
                trouble = error
        listed = ", ".join(shape_text(self.port.bound(shape)[1:]) for shape in tried)
        raise GraphError(
            f"{self.path}: ONNX Runtime cannot run it at {listed}; give a size that it takes (--size): "
            f"{first_line(trouble)}"
        )

    def fix(self, score: ScorePort, size: Shape, *, sides: bool) -> None:
        """Fix N at 1 where it takes no batch of two, and the sides at those of `size`, which it takes, if asked."""
        n, h, w = self.port.fixed
        if n is None and not self.takes((2, *size[1:]), score):
            n = 1
        if sides:
            _, h, w = size
        self.port = replace(self.port, fixed=(n, h, w))

    def at_own_size(self, results: Mapping[str, NDArray[Any]]) -> tuple[Shape, dict[str, NDArray[Any]]] | None:
        """Run it at the size of an output that `results` show; the port is fixed there from then on. None if it fails.

        An exporter that traces with dynamic axes may store the sides of its example in a Resize.
        """
        for array in results.values():
            for height, width in (array.shape[-2:], array.shape[1:3]) if array.ndim >= 3 else ():
                shape = self.port.bound((1, height, width))
                with suppress(Exception):
                    found = self.run(random_image(shape, 0))
                    self.port = replace(self.port, fixed=(self.port.fixed[0], height, width))
                    return shape, found
        return None

    def takes(self, shape: Shape, score: ScorePort) -> bool:
        """Return whether it runs at (N, H, W) and gives scores of that size."""
        try:
            found = self.run(random_image(shape, 0))[score.name]
        except Exception:
            return False
        return found.ndim == score.rank and score.fits(shape[1], shape[2], found.shape)

    def divisor(self, score: ScorePort) -> int | None:
        """Return the number of which sides must be multiples, 1 for any; None if no number fits or they are fixed."""
        if None not in self.port.fixed[1:]:
            return None
        for sizes in (ODD, LARGER_ODD):
            if all(self.takes(self.port.bound(shape), score) for shape in sizes):
                self.odd = sizes
                return 1
        return next((number for number in DIVISORS if all(self.takes(s, score) for s in self.multiples(number))), None)

    def multiples(self, number: int) -> Sequence[Shape]:
        """Return sizes whose sides are odd multiples of `number`."""
        odd = -(-SMALLEST_SIDE // number) | 1
        sides = odd * number, (odd + 2) * number
        return [self.port.bound((1, *sides)), self.port.bound((1, *sides[::-1]))]
