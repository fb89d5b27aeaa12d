"""Use a model as a function from images to labels."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.card import ModelCard
from fcn_deploy.data.images import load_image
from fcn_deploy.errors import ShapeError
from fcn_deploy.prediction.image_states import FinishedImage, LabelledImage, LoadedImage
from fcn_deploy.prediction.inference import open_lanes
from fcn_deploy.prediction.pipeline import Bounds, batch_images, infer_batches, reorder
from fcn_deploy.prediction.stage_clock import StageClock
from fcn_deploy.runners.arrays import BatchOfOne, as_batch, host_array, is_on_gpu
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.engine_options import TrtOptions
from fcn_deploy.sources.lanes import open_runners
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.arguments import Positive, Threads, checked
from fcn_deploy.system.files import StrPath
from fcn_deploy.vocabulary import INPUT, LABELS, requested_outputs

Image = NDArray[np.uint8]
# Labels uint8|int32[H, W]; with the outputs named in `load`, a dict of these.
Result = Any


class Model:
    """`model(image)` gives labels; a list gives a list, any other iterable an iterator. Not thread-safe.

    Opened with `outputs`, it gives for each image a dict of these in place of labels.

    An image is uint8[H, W, 3] RGB, or a path, which is read as `load_image` reads it. Labels are uint8[H, W] (int32
    above 255 classes). An array uint8[N, H, W, 3] gives labels [N, H, W]. Arrays on the GPU that the model runs on are
    taken as they are, one image in an inference.

    Attributes:
        card: classes, palette and the rest; None for a file of another tool that has none.
    """

    def __init__(
        self, runner: Runner, stack: ExitStack, batch: int = 1, on_gpu: bool = False, named: bool = False
    ) -> None:
        """Use `runner`, which `stack` closes, on up to `batch` images of one shape at once; results stay `on_gpu`.

        Args:
            named: whether a result is a dict of the runner's outputs, and not labels.
        """
        self._named = named
        self.card: ModelCard | None = runner.card
        self._runner, self._stack, self._batch, self._on_gpu = runner, stack, batch, on_gpu
        # A generator's images are run ahead in another thread.
        self._guard = threading.Lock()

    def __repr__(self) -> str:
        card = self.card
        network = "without a model card" if card is None else f"{card.model}, {card.num_classes} classes"
        return f"<Model {network}, {self._runner.name}>"

    @overload
    def __call__(self, images: Image | StrPath, *, on_gpu: bool | None = None) -> Result: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, images: list[Any] | tuple[Any, ...], *, on_gpu: bool | None = None
    ) -> list[Result]: ...
    @overload
    def __call__(self, images: Iterable[Any], *, on_gpu: bool | None = None) -> Iterator[Result]: ...
    def __call__(self, images: Any, *, on_gpu: bool | None = None) -> Any:
        """Return the labels of one image, of each in a list, or of each that an iterable gives.

        An iterable is read ahead of its results by a bounded number of images, and results keep its order.

        Args:
            on_gpu: whether labels stay on the GPU; None is the choice of `load`.

        Raises:
            ShapeError: an image that is not uint8[H, W, 3], or that no profile of an engine holds.
            ImageError: a path that cannot be read as an image.
            RunnerError: the model is closed, the device failed, or labels cannot stay on a GPU.
        """
        stays = self._on_gpu if on_gpu is None else on_gpu and self._runner.require_gpu()
        if isinstance(images, (str, os.PathLike)):
            images = load_image(Path(images))
        if is_on_gpu(images):
            batch = as_batch(images)
            found = self._infer(batch, stays)
            return self._result(found if batch is images else _first(found))
        if isinstance(images, (list, tuple)):
            return list(self._stream(images, stays))
        if hasattr(images, "__iter__") and not hasattr(images, "__array__"):
            return self._stream(images, stays)
        array = host_array(images)  # of a Pillow image, too
        whole = array if array.ndim == 4 else _image(array)[None]
        found = self._infer(whole, stays)
        return self._result(found if array.ndim == 4 else _first(found))

    def _infer(self, images: Any, on_gpu: bool) -> dict[str, Any]:
        with self._guard:
            return self._runner.infer({INPUT: images}, on_gpu=on_gpu)

    def _result(self, tensors: dict[str, Any]) -> Result:
        return tensors if self._named else tensors[LABELS]

    def _stream(self, images: Iterable[Any], on_gpu: bool) -> Iterator[Any]:
        source = iter(images)
        begun = list(islice(source, 1))
        images = chain(begun, source)
        if on_gpu or any(map(is_on_gpu, begun)):
            batches = (BatchOfOne(image) if is_on_gpu(image) else _image(image)[None] for image in images)
            for outputs in self._runner.stream(batches, on_gpu=on_gpu):
                yield self._result(_first(outputs))
            return
        loaded = (LoadedImage(index, PurePosixPath(str(index)), _image(image)) for index, image in enumerate(images))
        with open_lanes([self._runner], self._guard) as lanes:
            bounds = Bounds.of(1, self._batch, lanes.slots)
            grouped = batch_images(loaded, self._batch, bounds.grouped)
            # Closed here: where it is left to the garbage collector (Python 3.10), tickets would stay open until then.
            with closing(infer_batches(grouped, lanes, StageClock())) as values:
                for value in reorder(values, _index):
                    if isinstance(value, FinishedImage):
                        assert value.error is not None
                        raise value.error
                    yield self._result(value.tensors)

    def close(self) -> None:
        """Let go of the model and the device; a second call does nothing."""
        with self._guard:
            self._stack.close()

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@checked
def load(
    model: StrPath,
    *,
    runner: str | None = None,
    outputs: Sequence[str] | None = None,
    model_name: str | None = None,
    threads: Threads | None = None,
    batch: Positive = 1,
    on_gpu: bool = False,
    engine: TrtOptions | None = None,
) -> Model:
    """Open a model as a function from images to labels.

    Args:
        model: an engine, an .onnx file, a checkpoint, a recipe or "demo".
        runner: "pytorch[:cpu|cuda]", "onnxruntime[:cpu|cuda|...]", "openvino[:cpu|...]" or "tensorrt[:GPU]"; None is
            tensorrt for an engine, onnxruntime for an .onnx file, else pytorch.
        outputs: what the model gives for each image, in a dict: of "labels", "confidence" uint8[H, W] (255 times the
            label's probability), "logits" and "probabilities" float32[C, H, W]; None is the labels themselves.
        model_name: the network that a checkpoint holds, where its keys leave a choice.
        threads: CPU threads of one inference; None leaves the number to the runner.
        batch: images of one shape in one inference, for lists and iterables.
        on_gpu: whether labels stay on the GPU, unless a call says otherwise, as arrays that PyTorch, CuPy and others
            take without a copy (DLPack and the CUDA Array Interface); for "tensorrt", "onnxruntime:cuda" and
            "pytorch:cuda".
        engine: contexts, slots and CUDA graphs of the runner "tensorrt"; None leaves its own.

    Returns:
        A callable: uint8[H, W, 3] RGB in, labels uint8[H, W] out (int32 above 255 classes); a list, an iterable, an
        array uint8[N, H, W, 3] or paths give as many; images on the GPU (torch.Tensor, cupy.ndarray, a decoder's) are
        taken as they are. Close it, or use it as a context manager.

    Raises:
        UnknownNameError, RunnerError: there is no such runner, or it cannot run here or on this file.
        CheckpointError, GraphError, EngineError: the file cannot be read or used, or lacks one of the outputs.

    Example:
        >>> import fcn_deploy, numpy
        >>> with fcn_deploy.load("demo") as model:
        ...     labels = model(numpy.zeros((48, 64, 3), numpy.uint8))
        >>> model, labels.shape, labels.dtype
        (<Model fcn8s, 8 classes, pytorch>, (48, 64), dtype('uint8'))
    """
    with ExitStack() as stack:
        wanted = (LABELS,) if outputs is None else requested_outputs(outputs)
        source = stack.enter_context(ModelSource(model, model=model_name, outputs=wanted))
        opened = open_runners(source, stack, runner=runner, threads=threads, engine=engine)
        if on_gpu:
            opened[0].require_gpu()
        return Model(opened[0], stack.pop_all(), batch, on_gpu, named=outputs is not None)


def _first(tensors: dict[str, Any]) -> dict[str, Any]:
    """Return the tensors of the only image of a batch."""
    return {name: values[0] for name, values in tensors.items()}


def _image(value: Any) -> Image:
    """Return uint8[H, W, 3]; ShapeError or ImageError otherwise."""
    if isinstance(value, (str, os.PathLike)):
        return load_image(Path(value))
    if is_on_gpu(value):
        raise ShapeError("an image on a GPU comes after one on the host; give them apart")
    array = host_array(value)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise ShapeError(f"an image is {array.dtype}{list(array.shape)}; expected uint8[H, W, 3], RGB")
    return array


def _index(value: LabelledImage | FinishedImage) -> int:
    return value.loaded.index if isinstance(value, LabelledImage) else value.index
