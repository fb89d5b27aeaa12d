"""TensorRT engines behind the uint8 contract: in three steps, or several images under way at once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.engine.sidecar import read_plan
from fcn_deploy.errors import EngineError, GraphError
from fcn_deploy.model_file import file_of, require_file
from fcn_deploy.runners.arrays import GpuArray
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.cuda.context import CudaDevice
from fcn_deploy.runners.cuda.slots import Layout, Slot
from fcn_deploy.runners.engine_options import TrtOptions
from fcn_deploy.runners.step_events import DOWNLOAD, EXECUTE, UPLOAD, StepEvents
from fcn_deploy.runners.tickets import Tickets
from fcn_deploy.runners.trt.context import choose_profile
from fcn_deploy.runners.trt.engine import LoadedEngine, load_engine
from fcn_deploy.runners.trt.graphs import GraphedExecution
from fcn_deploy.runners.trt.streams import ComputeStreams
from fcn_deploy.vocabulary import LABELS, Shape

NO_SIDECAR = "the engine has no sidecar: what it was built from is not known"


class TrtRunner(Runner):
    """One engine on one GPU.

    It has `options.slots` slots for each context: one image is copied to the GPU while another is computed and a third
    comes back.

    A runner may be used from several threads in turn, never at once; a thread of its own needs a runner of its own.
    """

    def __init__(
        self,
        name: str,
        loaded: LoadedEngine,
        device: CudaDevice,
        *,
        outputs: tuple[str, ...] = (LABELS,),
        options: TrtOptions | None = None,
    ) -> None:
        """Take over `loaded`: it is closed with the runner, or here if the runner cannot be made.

        Raises:
            EngineError: the engine does not give one of `outputs`.
            RunnerError: the device refused, most likely for want of memory.
        """
        super().__init__(name, loaded.io.card, outputs)
        self._loaded = loaded
        self._device = device
        self._options = options or TrtOptions()
        self._image = loaded.ports[0]
        self._shape: tuple[int, ...] = ()
        self._events: StepEvents | None = None
        self.notes = () if loaded.sidecar is not None else (NO_SIDECAR,)
        self.notes += loaded.io.host_work(outputs)
        with device.active("opening the runner"), ExitStack() as undo:
            undo.callback(loaded.close)
            self._fetches = self._fetched(outputs)
            self._streams = ComputeStreams(loaded, device, self._options)
            undo.callback(self._streams.close)
            self.notes += self._streams.notes
            self._slots = [self._slot(number, undo) for number in range(self.slots)]
            self._stream_of = {slot: self._streams[number] for number, slot in enumerate(self._slots)}
            if self._options.preallocate:
                self._preallocate()
            undo.pop_all()
        self._tickets = Tickets(name, self._slots)

    @classmethod
    def open(
        cls,
        name: str,
        source: str,
        *,
        device: str = "",
        outputs: tuple[str, ...] = (LABELS,),
        threads: int | None = None,
        engine: TrtOptions | None = None,
        gpu: int = 0,
    ) -> TrtRunner:
        """Open the engine file `source` on the GPU of number `gpu`, as CUDA_VISIBLE_DEVICES leaves them.

        Args:
            device: the precision that the engine must have according to its sidecar ("fp16"); "" takes any.
            threads: is of no meaning here.

        Raises:
            MissingDependencyError: PyCUDA or the TensorRT library is not installed.
            RunnerError: there is no GPU or no driver, or `source` is no engine.
            EngineError: the engine cannot be used here, or is not of that precision.
        """
        require_file(source)
        path = file_of(source)
        plan, sidecar = read_plan(path)  # before the GPU, whose absence would hide that the file is damaged
        found = CudaDevice(gpu)
        loaded = load_engine(path, plan, sidecar, found, device)
        return cls(name, loaded, found, outputs=outputs, options=engine)

    @property
    def slots(self) -> int:
        return self._options.slots * self._options.contexts

    def _gpu(self, slot: Any) -> tuple[int, int]:
        if self._loaded.io.host_work(self.output_names):
            return super()._gpu(slot)
        return self._device.ordinal, int(self._stream_of[slot or self._slots[0]].stream.handle)

    def _start(self, slot: Slot, image: NDArray[np.uint8] | GpuArray, on_gpu: bool) -> None:
        array = self._prepared(image)
        self._state = "opened"
        with self._device.active(f"submitting {list(array.shape)}"):
            self._bring(slot, array)
            self._compute(slot, array.shape)
            if on_gpu:
                slot.give(self._device.ordinal)
            else:
                slot.download()

    def _finish(self, slot: Slot) -> dict[str, Any]:
        with self._device.active("waiting for a result"):
            slot.finish()
            return self._finished(slot.read())

    def _finished(self, fetched: dict[str, Any]) -> dict[str, Any]:
        """Return the outputs by their names here; those on the GPU are as the engine gives them."""
        io = self._loaded.io
        if any(isinstance(value, GpuArray) for value in fetched.values()):
            return {name: fetched[str(getattr(io, name))] for name in self.output_names}
        return io.finish(fetched, self.output_names)

    def _bring(self, slot: Slot, array: NDArray[Any] | GpuArray) -> None:
        if isinstance(array, GpuArray):
            slot.take(self._image.name, array)
        else:
            slot.upload({self._image.name: array})

    def _upload(self, image: NDArray[np.uint8] | GpuArray) -> None:
        self._state = "opened"  # whatever comes of it, the last image's results are gone
        array, slot = self._prepared(image), self._slots[0]
        with self._device.active(f"uploading {list(array.shape)}"):
            with self._timed(UPLOAD, self._stream_of[slot].stream if isinstance(array, GpuArray) else slot.stream):
                self._bring(slot, array)
            slot.settle()
        self._shape = array.shape

    def _execute(self) -> None:
        self._state = "uploaded"
        with self._device.active(f"running {list(self._shape)}"):
            with self._timed(EXECUTE, self._stream_of[self._slots[0]].stream):
                self._compute(self._slots[0], self._shape)
            self._slots[0].settle()

    def _download(self) -> dict[str, NDArray[Any]]:
        return self._fetched_by(self._slots[0].download)

    def _download_on_gpu(self) -> dict[str, Any]:
        return self._fetched_by(partial(self._slots[0].give, self._device.ordinal))

    def _fetched_by(self, start: Callable[[], None]) -> dict[str, Any]:
        with self._device.active("downloading"):
            with self._timed(DOWNLOAD, self._slots[0].stream):
                start()
            self._slots[0].finish()
            self.device_ns = None if self._events is None else self._events.read()
            return self._finished(self._slots[0].read())

    def _timed(self, step: int, stream: Any) -> AbstractContextManager[None]:
        if not self.time_on_device:
            return nullcontext()
        if self._events is None:
            self._events = StepEvents(self._device.driver.Event, lambda begin, end: float(begin.time_till(end)))
        return self._events.around(step, stream)

    def _close(self) -> None:
        driver_error = self._device.driver.Error
        with self._device.active("closing the runner"), ExitStack() as last:
            last.callback(self._loaded.close)
            last.callback(self._streams.close)
            for slot in self._slots:
                last.callback(slot.close)
            for slot in self._slots:
                with suppress(driver_error):  # of a result that is not waited for
                    slot.settle()
            self._streams.save_cache()
            self._events = None
            self._stream_of.clear()
            del self._slots

    def _compute(self, slot: Slot, shape: tuple[int, ...]) -> None:
        computing = self._stream_of[slot]
        slot.compute(computing.execution.prepare(shape, computing.stream), computing.execution.enqueue)
        told = computing.execution.notes if isinstance(computing.execution, GraphedExecution) else ()
        self.notes += tuple(note for note in told if note not in self.notes)

    def accepts(self, shape: Shape) -> bool:
        return any(profile.accepts(shape) for profile in self._loaded.profiles)

    def _prepared(self, image: NDArray[np.uint8] | GpuArray) -> NDArray[Any] | GpuArray:
        """Return what the engine takes; ShapeError if no profile holds it."""
        n, height, width, _ = image.shape
        choose_profile(self._loaded.profiles, (n, height, width))
        return image if isinstance(image, GpuArray) else self._loaded.io.prepare(image)

    def _fetched(self, outputs: tuple[str, ...]) -> list[str]:
        try:
            return self._loaded.io.fetches(outputs)
        except GraphError as error:
            raise EngineError(f"{self._loaded.path}: {error}") from error

    def _slot(self, number: int, undo: ExitStack) -> Slot:
        outputs = [port.name for port in self._loaded.outputs]
        slot = Slot(self._device, self._streams[number].stream, [self._image.name], outputs, self._fetches)
        undo.callback(slot.close)
        return slot

    def _preallocate(self) -> None:
        """Allocate memory for the largest shape of every profile, in every slot."""
        for profile in self._loaded.profiles:
            shape = self._image.tensor_shape(profile.max)
            for slot, computing in self._stream_of.items():
                layouts = computing.execution.prepare(shape, computing.stream)
                slot.reserve(layouts | {self._image.name: Layout(shape, np.dtype(self._image.dtype))})
