"""Define the options of `predict`, and find the images that they name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from fcn_deploy.data.images import SUFFIXES
from fcn_deploy.errors import OutputError
from fcn_deploy.prediction.images.sources import ImageSource, find_sources
from fcn_deploy.prediction.images.storage import Storage
from fcn_deploy.prediction.outputs import SUFFIX
from fcn_deploy.prediction.tiled import Tiling
from fcn_deploy.runners.engine_options import TrtOptions
from fcn_deploy.system.files import check_writable
from fcn_deploy.vocabulary import CONFIDENCE, LABELS, MaskFormat

EXTRA_IO_THREADS = 2  # threads more than cores: writing waits for the disk more than it computes


@dataclass(frozen=True)
class PredictOptions:
    """Hold the arguments of `predict`, where they are explained, with their types settled."""

    model: str
    images: tuple[str, ...]
    target: Path | Storage
    format: MaskFormat = "indexed"
    overlay: float | None = None
    areas: Path | None = None
    skip_existing: bool = False
    keep_suffix: bool = False
    batch: int = 1
    runner: str | None = None
    threads: int | None = None
    lanes: int | None = None
    checkpoint_model: str | None = None
    workers: int | None = None
    tiling: Tiling | None = None
    engine: TrtOptions | None = None
    confidence: Path | None = None

    @property
    def tensors(self) -> tuple[str, ...]:
        """What the runner is asked for."""
        return (LABELS,) if self.confidence is None else (LABELS, CONFIDENCE)

    @property
    def single(self) -> bool:
        """Whether the target is the label map itself: it is named like one and is no folder."""
        target = self.target
        return isinstance(target, Path) and target.suffix.lower() == SUFFIX[self.format] and not target.is_dir()

    def sources(self, stdin: IO[bytes] | None = None) -> list[ImageSource]:
        """Find the images, and check that their results can be written.

        Raises:
            DataError: there are none, or one of `images` is not what `find_sources` takes.
            OutputError: the results cannot be written there.
        """
        self._check_suffix()
        sources = find_sources(self.images, exclude=None if self.single else self.target, stdin=stdin)
        if self.confidence is not None and self.confidence.exists():
            sources = list(_outside(self.confidence.resolve(), sources))  # results of an earlier run are no images
        if self.single and (len(sources) > 1 or sources[0].is_video):
            raise OutputError(f"{self.target} is one file, and there are {len(sources)} sources; give a folder (-o)")
        if not isinstance(self.target, Storage):
            check_writable(self.target if self.single else self.target / "results")
        if self.areas is not None:
            check_writable(self.areas)
        if self.confidence is not None:
            check_writable(self.confidence / "results")
        return sources

    def _check_suffix(self) -> None:
        """Raise OutputError for a target that is named like a file and would become a folder."""
        target, needed = self.target, SUFFIX[self.format]
        if isinstance(target, Storage) or self.single or target.is_dir():
            return
        if target.suffix.lower() in SUFFIXES | {*SUFFIX.values()}:
            raise OutputError(
                f"{target} is named like a file, and {self.format} label maps end in {needed}; give such a name or a "
                "folder's (-o)"
            )


def _outside(folder: Path, sources: Iterable[ImageSource]) -> Iterator[ImageSource]:
    """Yield the sources that are not below `folder`."""
    below: dict[Path, bool] = {}
    for source in sources:
        parent = source.path.parent
        if parent not in below:
            below[parent] = source.storage is None and parent.resolve().is_relative_to(folder)
        if not below[parent]:
            yield source
