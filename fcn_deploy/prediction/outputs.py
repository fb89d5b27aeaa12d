"""Write the results of an image: label map and overlay."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcn_deploy.card import voc_palette
from fcn_deploy.data.images import load_label
from fcn_deploy.data.sample import Colour
from fcn_deploy.data.writing import MARK, is_whole, label_image, npy_head, save_image, save_labels
from fcn_deploy.errors import DataError
from fcn_deploy.prediction.images.storage import Storage
from fcn_deploy.system.files import write_bytes
from fcn_deploy.system.scratch import scratch_folder
from fcn_deploy.system.temporaries import remove_leftovers
from fcn_deploy.vocabulary import MaskFormat

SUFFIX = {"indexed": ".png", "raw": ".png", "npy": ".npy"}
OVERLAY = ".overlay.jpg"


@dataclass(frozen=True)
class Outputs:
    """The files of every image.

    Attributes:
        target: the folder; or, for one image, the label map itself; with `storage` Path(), below which it is.
        format: "indexed" is a PNG with the palette, "raw" a grey PNG (16 bits above 255 classes), "npy" the array.
        palette: one RGB triple per class.
        overlay: how much of an overlay is the labels' colour, 0..1; None for none.
        keep_suffix: "a.jpg" becomes "a.jpg.png" and not "a.png".
        single: whether `target` is a file.
        storage: the folder of object storage that the files end in; None where that is `target`.
        confidence: the folder of the confidence of every pixel, as grey PNG; None for none.
    """

    target: Path
    format: MaskFormat
    palette: tuple[Colour, ...]
    overlay: float | None = None
    keep_suffix: bool = False
    single: bool = False
    storage: Storage | None = None
    confidence: Path | None = None

    @property
    def place(self) -> str:
        """Where a user finds the files."""
        return str(self.target if self.storage is None else self.storage)

    def label_path(self, name: PurePosixPath) -> Path:
        return self.target if self.single else self._path(name, SUFFIX[self.format])

    def overlay_path(self, name: PurePosixPath) -> Path:
        return self.target.with_suffix(OVERLAY) if self.single else self._path(name, OVERLAY)

    def paths(self, name: PurePosixPath) -> tuple[Path, ...]:
        """Return all files of one image."""
        overlays = (self.overlay_path(name),) if self.overlay is not None else ()
        return (self.label_path(name), *overlays, *self._confidence_paths(name))

    def _confidence_paths(self, name: PurePosixPath) -> tuple[Path, ...]:
        if self.confidence is None:
            return ()
        named = self.confidence / self.target.with_suffix(".png").name
        return (named if self.single else self.confidence / self._below(name, ".png"),)

    def _path(self, name: PurePosixPath, suffix: str) -> Path:
        return self.target / self._below(name, suffix)

    def _below(self, name: PurePosixPath, suffix: str) -> PurePosixPath:
        stem = name if self.keep_suffix or not name.suffix else name.with_suffix("")
        return stem.parent / f"{stem.name}{suffix}"

    def exist(self, name: PurePosixPath) -> bool:
        """Return whether all files of an image exist and are whole; those of object storage always are."""
        if self.storage is None:
            return all(is_whole(path) for path in self.paths(name))
        return all(self.storage.exists(PurePosixPath(path)) for path in self.paths(name))

    def remove_partial_files(self) -> None:
        """Remove files that killed processes left half written; object storage never has any."""
        if self.storage is None:
            for folder in (self.target, *(() if self.confidence is None else (self.confidence,))):
                remove_leftovers(folder)

    @contextmanager
    def staged(self, name: PurePosixPath) -> Iterator[Outputs]:
        """Yield outputs on this machine; when the block succeeds, upload an image's files written there.

        Raises:
            OutputError: they cannot be uploaded.
        """
        if self.storage is None:
            yield self
            return
        with scratch_folder() as folder:
            here = replace(self, target=folder, storage=None)
            yield here
            for path, stored in zip(reversed(here.paths(name)), reversed(self.paths(name)), strict=True):
                self.storage.upload(path, PurePosixPath(stored))

    def write(
        self,
        name: PurePosixPath,
        image: NDArray[np.uint8],
        labels: NDArray[Any],
        confidence: NDArray[np.uint8] | None = None,
    ) -> None:
        """Write labels and confidence [H, W] of image uint8[H, W, 3], the label map last; OutputError if it fails."""
        with self.staged(name) as here:
            if confidence is not None:
                for path in here._confidence_paths(name):
                    save_labels(label_image(confidence, None), path, mark=True)
            here._write(name, image, labels)

    def read_confidence(self, name: PurePosixPath) -> NDArray[np.uint8]:
        """Read the confidence that `write` wrote, uint8[H, W]; DataError if it cannot be read."""
        (path,) = self._confidence_paths(name)
        return load_label(path).astype(np.uint8)

    def _write(self, name: PurePosixPath, image: NDArray[np.uint8], labels: NDArray[Any]) -> None:
        if self.overlay is not None:
            mixed = Image.blend(Image.fromarray(image), self._coloured(labels), self.overlay)
            save_image(mixed, self.overlay_path(name), quality=90, comment=MARK)
        if self.format == "npy":
            write_bytes(self.label_path(name), npy_head(labels.shape, labels.dtype) + labels.tobytes())
        else:
            indexed = label_image(labels, self.palette if self.format == "indexed" else None)
            save_labels(indexed, self.label_path(name), mark=True)

    def _coloured(self, labels: NDArray[Any]) -> Image.Image:
        if labels.dtype == np.uint8:
            return label_image(labels, self.palette).convert("RGB")
        most = int(labels.max()) + 1
        palette = self.palette if most <= len(self.palette) else voc_palette(most)  # a file without a card
        return Image.fromarray(np.asarray(palette, np.uint8)[labels])

    def read(self, name: PurePosixPath) -> NDArray[Any]:
        """Read the labels that `write` wrote; DataError if they cannot be read."""
        path = self.label_path(name)
        if self.storage is None:
            return self._load(path)
        with self.storage.downloaded(PurePosixPath(path)) as copy:
            return self._load(copy)

    def _load(self, path: Path) -> NDArray[Any]:
        if self.format != "npy":
            return load_label(path)
        try:
            labels: NDArray[Any] = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{path} cannot be read as labels ({error}); remove it") from error
        return labels
