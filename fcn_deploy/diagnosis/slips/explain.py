"""Compare the label maps of another program with the reference's labels, and name the slip that explains them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fcn_deploy.card import ModelCard
from fcn_deploy.data.dataset import Dataset, iterate
from fcn_deploy.data.images import open_header, rgb_array
from fcn_deploy.data.options import DataOptions, open_unchecked, without_labels
from fcn_deploy.data.sample import Colour, Subset
from fcn_deploy.diagnosis.slips.forward import Forward
from fcn_deploy.diagnosis.slips.maps import find_maps, image_names
from fcn_deploy.diagnosis.slips.network import CutNetwork
from fcn_deploy.diagnosis.slips.report import SlipReport
from fcn_deploy.diagnosis.slips.saturating import SaturatingNetwork
from fcn_deploy.diagnosis.slips.search import search
from fcn_deploy.diagnosis.slips.slip import Bytes, ForeignFrame
from fcn_deploy.diagnosis.slips.table import slips
from fcn_deploy.diagnosis.slips.verdict import judge
from fcn_deploy.diagnosis.slips.views import view_of
from fcn_deploy.errors import EngineError
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.sources.original import original_of
from fcn_deploy.system.arguments import Positive, Threads, checked
from fcn_deploy.system.files import StrPath
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.system.scratch import scratch_folder

FRAMES = 6
UNLABELLED = 255
_ORIENTATION = 0x0112


@checked
def explain_labels(
    reference: StrPath,
    labels_from: StrPath,
    data: StrPath | DataOptions,
    *,
    others: Sequence[StrPath] = (),
    frames: Positive = FRAMES,
    model_name: str | None = None,
    threads: Threads | None = None,
    progress: Progress = SILENT,
) -> SlipReport:
    """Find the slip, or the pair of slips, that explains the label maps of another program.

    Args:
        reference: what the program was meant to run: "demo", a checkpoint, a recipe, an .onnx file, or an engine whose
            .onnx file is next to it.
        labels_from: the folder of its label maps, named as the images are: indexed, grey, .npy, or in the colours of
            the model card or of `DataOptions.classes`.
        data: the images, as for `evaluate`; their own labels are not read.
        others: files that it may have run instead, of the same kinds.
        frames: number of label maps that are compared, spread over all.
        model_name: the network that a checkpoint holds, where its keys leave a choice.
        threads: CPU threads; None leaves the number to the runner.

    Returns:
        The verdict ("same", "explained", "unexplained") and the best explanations, each with its share of equal labels.

    Raises:
        CheckpointError, GraphError, EngineError: a file cannot be read, or not cut behind its normalisation.
        DataError: no label map fits an image, or one cannot be read.

    Example:
        >>> import fcn_deploy
        >>> from PIL import Image
        >>> from fcn_deploy.data.dataset import open_dataset
        >>> scene = open_dataset("synthetic:1:0:96x128")[0].image
        >>> Image.fromarray(scene).save("scene.png")
        >>> with fcn_deploy.load("demo.onnx") as model:
        ...     Image.fromarray(model(scene[:, :, ::-1].copy())).save("mask.png")
        >>> fcn_deploy.explain_labels("demo.onnx", "mask.png", "scene.png").explained_by
        'channels swapped (BGR)'
    """
    with open_reference(reference, others, model_name=model_name, threads=threads, progress=progress) as opened:
        return opened.explain(Path(os.fspath(labels_from)), DataOptions.of(data), frames, progress)


@dataclass(frozen=True)
class CutReference:
    """The file that a program was meant to run, cut behind its normalisation, and those that it may have run.

    What the network gave is kept, so that label maps of several programs that ran on the same images cost less.

    Attributes:
        name: as reports have it.
        others: names of the other files.
    """

    name: str
    network: CutNetwork
    others: tuple[str, ...]
    forward: Forward

    def explain(
        self, labels_from: Path, options: DataOptions, frames: int = FRAMES, progress: Progress = SILENT
    ) -> SlipReport:
        """Explain the label maps of one program; arguments and errors as for `explain_labels`."""
        ran = self.forward.runs
        found = read_frames(self.network.card, options, labels_from, frames, progress)
        if self.forward.saturating is not None:
            self.forward.saturating.look_at([_seen(frame) for frame in found])
        first = found[0]
        label_size = None if first.labels.shape == first.image.shape[:2] else first.labels.shape
        tried = slips(first.image.shape[:2], self.network.normalisation, label_size, self.others)
        trials = search(found, tried, self.forward, progress)
        return judge(trials, found, self.name, str(labels_from), self.forward.runs - ran)


@contextmanager
def open_reference(
    reference: StrPath,
    others: Sequence[StrPath] = (),
    *,
    model_name: str | None = None,
    threads: int | None = None,
    progress: Progress = SILENT,
) -> Iterator[CutReference]:
    """Open the files of `explain_labels`, with its arguments and errors."""
    with scratch_folder() as parts, ExitStack() as stack:

        def onnx_file(source: StrPath) -> Path:
            return _onnx_file(stack.enter_context(ModelSource(source, progress, model=model_name)))

        path = onnx_file(reference)
        own = CutNetwork(path, parts, threads=threads)
        different = {os.fspath(other): CutNetwork(onnx_file(other), parts, threads=threads) for other in others}
        forward = Forward(own, different, SaturatingNetwork(path, parts, threads=threads))
        yield CutReference(Path(os.fspath(reference)).name, own, tuple(different), forward)


def _seen(frame: ForeignFrame) -> Bytes:
    """Return what the network gets of the frame while slips are tried: all of it, or the crop around its window."""
    rows, columns = view_of(frame).crop(frame.image.shape[:2])[0]
    return frame.image[rows, columns]


def _onnx_file(source: ModelSource) -> Path:
    """Return the ONNX file of a source; of an engine, which cannot be cut, the one that it was built from."""
    if source.kind != "engine":
        return source.onnx_file()
    path, name = original_of(source, source.card())
    if path is None:
        raise EngineError(
            f"{source.text} cannot be cut behind its normalisation; give the .onnx file that it was built from"
            f"{f' ({name})' if name else ''}"
        )
    return path


def read_frames(
    card: ModelCard | None, options: DataOptions, folder: Path, most: int, progress: Progress = SILENT
) -> list[ForeignFrame]:
    """Return at most `most` images that have a label map, spread over all; DataError if there is none."""
    dataset = open_unchecked(options, card, progress)
    colours = _colours(dataset, card)
    images = without_labels(dataset)
    maps = find_maps(images, folder, options.label_suffix, colours, progress)
    indices = [index for index, name in enumerate(image_names(images)) if name in maps.paths]
    most = min(most, len(indices))
    chosen = Subset(images, [indices[place * len(indices) // most] for place in range(most)])
    samples = iterate(chosen, on_error=options.on_error, progress=progress)
    return [
        ForeignFrame(s.name, s.image, _as_stored(Path(s.name)), maps.read(s.name, s.image.size // 3)) for s in samples
    ]


def _colours(dataset: Dataset, card: ModelCard | None) -> dict[Colour, int]:
    """Return the label of each colour: of the data set's classes where they have colours, else of the model card."""
    class_list = getattr(getattr(dataset, "whole", dataset), "class_list", None)
    if class_list is not None and class_list.coloured:
        return dict(class_list.colours(UNLABELLED))
    return {} if card is None else {colour: label for label, colour in enumerate(card.palette)}


def _as_stored(path: Path) -> Bytes | None:
    """Return the image without its EXIF orientation; None where it has none, or there is no file."""
    if not path.is_file():
        return None
    with open_header(path) as image:
        return rgb_array(image, path) if image.getexif().get(_ORIENTATION, 1) != 1 else None
