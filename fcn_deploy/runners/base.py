"""The contract of every runner: uint8[N, H, W, 3] RGB in, a label map out, in three steps that are timed apart."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import RunnerError
from fcn_deploy.graph.cpu.budget import MemoryBudget
from fcn_deploy.runners.arrays import GpuArray, gpu_image, host_image, is_on_gpu, one_image, shape_of
from fcn_deploy.runners.checks.labels import require_sound_outputs
from fcn_deploy.runners.checks.scores import ScoreCheck
from fcn_deploy.runners.tickets import Ticket, Tickets, in_order
from fcn_deploy.vocabulary import LABELS, Shape


class Runner(ABC):
    """One loaded model on one device. Use as a context manager; not thread-safe.

    Attributes:
        name: what the user asked for ("onnxruntime:cuda").
        card: the model card, None for a file without one.
        output_names: the outputs that `download` returns.
        notes: what a reader of a measurement must know (work done on the host, nodes left to another device).
        device_ns: nanoseconds of the last upload, execute and download by events on the device; None without
            events, or if `time_on_device` is not set.
        tune_at_once: whether a shape that comes again is tuned for (compiled, captured, measured) at its second run, as
            where many are to be timed; else once its runs have taken about as long as that will.
        score_check: what `infer` asks for the scores behind labels that are all of one class; None asks nothing.
        memory: what inferences on a CPU have to fit in; None sets no limit.

    `upload`, `execute`, `download` and `infer` work on one batch and wait for each step; they are refused while tickets
    are open. `submit` and `result` keep up to `slots` batches under way.

    A backend writes `_upload`, `_execute`, `_download` and `_close`; the checks are here. One with several slots also
    sets `_tickets` and writes `slots`, `_start` and `_finish`.
    """

    def __init__(self, name: str, card: ModelCard | None, output_names: tuple[str, ...] = (LABELS,)) -> None:
        self.name, self.card, self.output_names = name, card, output_names
        self.notes: tuple[str, ...] = ()
        self.time_on_device = self.tune_at_once = False
        self.score_check: ScoreCheck | None = None
        self.memory: MemoryBudget | None = None
        self.device_ns: tuple[int, int, int] | None = None
        self._state = "opened"
        self._tickets: Tickets[Any] = Tickets(name, [{}])
        self._image_size: Shape = (0, 0, 0)

    @property
    def slots(self) -> int:
        """Batches that may be under way at once; with 1, `submit` returns when the result is there."""
        return 1

    def submit(self, image: Any, *, on_gpu: bool = False) -> Ticket:
        """Start the inference of `image` uint8[N, H, W, 3]; memory on the host may be reused at once.

        What was uploaded before is dropped.

        Raises:
            ShapeError: another type or shape, or one that the model does not take or the memory does not hold.
            RunnerError: all slots are taken, the runner is closed, the device refused, or there is no GPU for the
                image or the outputs.
        """
        self._require("opened", "uploaded", "executed")
        slot = self._tickets.free_slot()
        taken = self._taken(image, slot)
        with self._room_for(taken):
            self._start(slot, taken, on_gpu and self.require_gpu())
        return self._tickets.issue(slot, shape_of(taken))

    def require_gpu(self) -> bool:
        """Return True where images may lie on the GPU and outputs stay there; RunnerError elsewhere."""
        self._require("opened", "uploaded", "executed")
        self._gpu(None)
        return True

    def result(self, ticket: Ticket) -> dict[str, Any]:
        """Wait for a ticket's inference; its outputs, as `download` gives them. Tickets may come in any order.

        Raises:
            RunnerError: not an open ticket of this runner, or the inference failed; the slot is free again either way.
        """
        self._require("opened", "uploaded", "executed")
        return require_sound_outputs(self.name, self._finish(self._tickets.redeem(ticket)), ticket.shape, self.card)

    def stream(self, images: Iterable[Any], *, on_gpu: bool = False) -> Iterator[dict[str, Any]]:
        """Yield the outputs of `images` in their order, as many under way at once as slots are free.

        An image that cannot be run, or an error of `images` itself, is raised after the results of those before it.
        """
        return in_order(images, partial(self.submit, on_gpu=on_gpu), self.result, self._tickets)

    def upload(self, feeds: Mapping[str, Any]) -> None:
        """Bring `image` uint8[N, H, W, 3] to where the device reads it; returns when it is there.

        Raises:
            ShapeError: another name, type or shape, or one that the memory does not hold.
            RunnerError: the runner is closed, or the device refused.
        """
        image = self._image_of(feeds)
        with self._room_for(image):
            self._upload(image)
        self._state, self._image_size = "uploaded", shape_of(image)

    def execute(self) -> None:
        """Run the network on what was uploaded; returns when the device is done, not when it was asked.

        Raises:
            RunnerError: nothing was uploaded, the runner is closed, or the device failed.
        """
        self._require("uploaded", "executed")
        self._execute()
        self._state = "executed"

    def download(self, *, on_gpu: bool = False) -> dict[str, Any]:
        """Return labels uint8|int32[N, H, W], confidence uint8, logits, probabilities, as the caller's host arrays.

        With `on_gpu` they are arrays on the GPU, of the caller too, in the types that the model gives.

        Raises:
            RunnerError: nothing was executed, the runner is closed, or the device failed.
        """
        self._require("executed")
        outputs = self._download_on_gpu() if on_gpu and self.require_gpu() else self._download()
        return require_sound_outputs(self.name, outputs, self._image_size, self.card)

    def infer(self, feeds: Mapping[str, Any], *, on_gpu: bool = False) -> dict[str, Any]:
        """Upload, execute, download; some runners queue all three and wait once."""
        image = self._image_of(feeds)
        self._state, self._image_size = "opened", shape_of(image)
        with self._room_for(image):
            outputs = self._run_all(image, on_gpu and self.require_gpu())
        self._state = "executed"
        require_sound_outputs(self.name, outputs, self._image_size, self.card)
        return outputs if self.score_check is None else self.score_check.check(image, outputs)

    @classmethod
    def find_devices(cls) -> dict[str, tuple[str, ...]] | None:
        """Return this machine's devices and the types that each computes in; None if the backend cannot list them."""
        return None

    def clone(self) -> Runner | None:
        """Another runner over the same loaded weights, for another thread; None where this kind has none.

        Each is closed for itself, and the weights go with the last. They share `memory`.
        """
        self._require("opened", "uploaded", "executed")
        clone = self._clone()
        if clone is not None:
            clone.score_check, clone.memory = self.score_check, self.memory
        return clone

    def accepts(self, shape: Shape) -> bool:
        """Return whether images of (N, H, W) may be run; the model's own bounds, not those of memory."""
        return True

    def close(self) -> None:
        """Let go of the model and the device; a second call does nothing."""
        if self._state != "closed":
            self._state = "closed"
            self._close()

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _clone(self) -> Runner | None:
        """Write this to have clones."""
        return None

    def _room_for(self, image: Any) -> AbstractContextManager[object]:
        return nullcontext() if self.memory is None else self.memory.reserve(shape_of(image))

    def _gpu(self, slot: Any) -> tuple[int, int]:
        """Return the number of the GPU, and the stream that reads an image for `slot`; RunnerError if there is none."""
        raise RunnerError(
            f"{self.name} takes images on the host and gives labels there; copy (tensor.cpu(), cupy.asnumpy(array)) "
            "or open pytorch:cuda, onnxruntime:cuda or tensorrt"
        )

    def _image_of(self, feeds: Mapping[str, Any]) -> NDArray[np.uint8] | GpuArray:
        self._require("opened", "uploaded", "executed")
        image = self._taken(one_image(feeds), None)
        self._tickets.require_none()
        return image

    def _taken(self, image: Any, slot: Any) -> NDArray[np.uint8] | GpuArray:
        return gpu_image(image, *self._gpu(slot)) if is_on_gpu(image) else host_image(image)

    def _download_on_gpu(self) -> dict[str, Any]:
        raise NotImplementedError  # where `_gpu` returns, this is written

    @abstractmethod
    def _upload(self, image: Any) -> None:
        """Take uint8[N, H, W, 3] on the host or, where there is a `_gpu`, a GpuArray on it."""

    @abstractmethod
    def _execute(self) -> None: ...

    @abstractmethod
    def _download(self) -> dict[str, NDArray[Any]]: ...

    @abstractmethod
    def _close(self) -> None: ...

    def _run_all(self, image: Any, on_gpu: bool) -> dict[str, Any]:
        """Upload, execute and download; a backend that can do with one wait writes its own."""
        self._upload(image)
        self._execute()
        return self._download_on_gpu() if on_gpu else self._download()

    def _start(self, slot: Any, image: Any, on_gpu: bool) -> None:
        """Start `image` in a free slot of `_tickets`: with one slot, run it and keep its outputs there."""
        self._state = "opened"
        slot.update(self._run_all(image, on_gpu))

    def _finish(self, slot: Any) -> dict[str, Any]:
        """Wait for the outputs of what `_start` put into the slot, and free it."""
        outputs = dict(slot)
        slot.clear()
        return outputs

    def _require(self, *states: str) -> None:
        if self._state in states:
            return
        if self._state == "closed":
            raise RunnerError(f"runner {self.name} is closed; open it again")
        raise RunnerError(f"runner {self.name}: upload, execute and download go in this order")
