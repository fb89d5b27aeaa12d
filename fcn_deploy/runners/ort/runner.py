"""ONNX Runtime behind the uint8 contract, with bound inputs and outputs so that copies and arithmetic part."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.errors import GraphError, RunnerError, restated
from fcn_deploy.graph.ports import GraphIO
from fcn_deploy.runners.arrays import GpuArray, shape_of
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.checks.labels import size_trouble
from fcn_deploy.runners.driver_calls import DEFAULT_STREAM
from fcn_deploy.runners.ort.fixed import FixedSessions, stamps_of
from fcn_deploy.runners.ort.fixed_pool import FixedPool, capacity
from fcn_deploy.runners.ort.fixed_session import FixedSession
from fcn_deploy.runners.ort.gpu_arrays import DeviceImage, copy_from, copy_of, shared
from fcn_deploy.runners.ort.layouts import Texts, named
from fcn_deploy.runners.ort.messages import is_memory, reason_of
from fcn_deploy.runners.ort.options import CUDA, ProviderOptions, profile_options
from fcn_deploy.runners.ort.session import open_session, read_io
from fcn_deploy.runners.run_times import RunTimes
from fcn_deploy.vocabulary import LABELS, Shape


class OrtRunner(Runner):
    """One session for images of any shape; buffers of CUDA providers live on the GPU, of all others on the host.

    On CUDA, shapes that come again have a session each, which is a CUDA graph.

    A graph that wants a normalised float image or gives logits alone is run too: the host does the rest, inside
    `upload` and `download`, and `notes` says so.
    """

    def __init__(
        self,
        name: str,
        session: Any,
        io: GraphIO,
        *,
        device: str = "cpu",
        outputs: tuple[str, ...] = (LABELS,),
        asked: ProviderOptions | None = None,
        fixed: FixedSessions | None = None,
        notes: tuple[str, ...] = (),
        opening_s: float = 0.0,
    ) -> None:
        """Run `session`; `fixed` opens others for shapes that come again, where there may be any."""
        super().__init__(name, io.card, outputs)
        self._session, self._io, self._device = session, io, device
        self._asked = asked or ProviderOptions()
        self._fetches = io.fetches(outputs)
        self._binding = session.io_binding()
        self._device_image: DeviceImage | None = None
        self._host_image: NDArray[Any] | None = None
        self._general: tuple[Texts, ...] = () if fixed is None else fixed.layouts.general
        self._opener, self._on_cuda = fixed, fixed is not None and fixed.provider == CUDA
        self._pool: FixedPool | None = None
        if fixed is not None and capacity(fixed):
            dims = session.get_inputs()[0].shape
            self._pool = FixedPool(fixed, io, self._fetches, dims, self._is_worth_it, lambda: self.tune_at_once)
        self._fixed: FixedSession | None = None
        self._shape: Shape = (0, 0, 0)
        self._run_times = RunTimes(opening_s)
        self.notes = self._own_notes = (*notes, *io.host_work(outputs))

    @classmethod
    def open(
        cls,
        name: str,
        source: str,
        *,
        device: str,
        outputs: tuple[str, ...],
        threads: int | None,
        provider: ProviderOptions | None = None,
    ) -> OrtRunner:
        """Open the .onnx file `source` on the provider `device`; see `ort_session.open_session` for the errors."""
        started = time.perf_counter()
        opened = open_session(name, Path(source), device, threads, provider)
        opening_s = time.perf_counter() - started
        io = read_io(source, opened.session)
        fixed = FixedSessions(
            name, Path(source), device, threads, provider or ProviderOptions(), opened.layouts, opened.buffers,
            stamps_of(opened.files),
        )  # fmt: skip
        options: dict[str, Any] = {"device": opened.buffers, "outputs": outputs, "asked": provider}
        with restated(GraphError, GraphError, prefix=f"{source}: "):
            runner = cls(name, opened.session, io, **options, fixed=fixed, notes=opened.notes, opening_s=opening_s)
        runner.memory = opened.memory
        return runner

    def _clone(self) -> OrtRunner:
        options: dict[str, Any] = {"device": self._device, "outputs": self.output_names, "asked": self._asked}
        clone = type(self)(
            self.name, self._session, self._io, **options, fixed=self._opener, opening_s=self._run_times.opening_s
        )
        clone.notes = clone._own_notes = self._own_notes
        clone.tune_at_once, clone._general = self.tune_at_once, self._general
        return clone

    def accepts(self, shape: Shape) -> bool:
        """Check the shape against the provider's profiles and the dims that the file fixes."""
        dims = self._session.get_inputs()[0].shape
        own = (dims[0], *(dims[1:3] if self._io.image_type is np.uint8 else dims[2:4]))
        fixed = all(number == dim for number, dim in zip(shape, own, strict=True) if isinstance(dim, int))
        profiles = self._asked.profiles
        return fixed and (not profiles or any(profile.accepts(shape) for profile in profiles))

    def _gpu(self, slot: Any) -> tuple[int, int]:
        work = self._io.host_work(self.output_names)
        if self._device == "cpu" or work:
            return super()._gpu(slot)
        return self._asked.device_id, DEFAULT_STREAM

    def _run_all(self, image: NDArray[np.uint8] | GpuArray, on_gpu: bool) -> dict[str, Any]:
        prepared = self._prepare(image)
        queued = self._fixed is not None and self._fixed.whole is not None and not on_gpu
        if queued and self._fixed is not None and not isinstance(prepared, GpuArray):
            try:
                return self._finished(self._fixed.infer(prepared))
            except RunnerError as error:
                self._refuse_fixed(str(error))
        self._bring(prepared)
        self._execute()
        return self._download_on_gpu() if on_gpu else self._download()

    def _upload(self, image: NDArray[np.uint8] | GpuArray) -> None:
        self._bring(self._prepare(image))

    def _prepare(self, image: NDArray[np.uint8] | GpuArray) -> NDArray[Any] | GpuArray:
        """Choose the session for the image; return what it takes."""
        self._shape = shape_of(image)
        self._run_options = profile_options(self.name, self._asked.profiles, self._shape)
        was, self._fixed = self._fixed, None if self._pool is None else self._pool.get(self._shape)
        if self._fixed is not was:
            self._tell()
        return image if isinstance(image, GpuArray) else self._io.prepare(image)

    def _bring(self, prepared: NDArray[Any] | GpuArray) -> None:
        if self._fixed is None:
            self._bind(prepared)
        elif isinstance(prepared, GpuArray):
            copy_from(prepared, self._fixed.image.address)
        else:
            self._fixed.image.write(prepared)

    def _bind(self, prepared: NDArray[Any] | GpuArray) -> None:
        """Bind the image to the session for any shape."""
        if isinstance(prepared, GpuArray) or self._device != "cpu":
            self._device_image = self._device_image or DeviceImage(self._device, self._asked.device_id)
            self._binding.bind_ortvalue_input(self._io.image, self._device_image.write(prepared))
            self._binding.synchronize_inputs()
        else:
            self._host_image = prepared
            self._binding.bind_cpu_input(self._io.image, prepared)
        self._bind_outputs()

    def _bind_outputs(self) -> None:
        # A binding keeps the arrays of its last run and would want the next ones to have their shape.
        self._binding.clear_binding_outputs()
        for output in self._fetches:
            self._binding.bind_output(output, self._device, self._asked.device_id if self._device != "cpu" else 0)

    def _execute(self) -> None:
        if self._fixed is not None:
            try:
                self._fixed.run()
                return
            except RunnerError as error:
                image = self._fixed.image.read()
                self._refuse_fixed(str(error))
                self._bind(image)
        with self._run_times.timed(self._shape):
            while True:
                try:
                    self._run()
                    break
                except RunnerError as error:
                    if not is_memory(str(error)) or self._pool is None or not self._pool.drop(str(error)):
                        self._reopen(error)
        if self._pool is not None:
            self._pool.learn(self._shape, self._binding.get_outputs())
        self._tell()

    def _run(self) -> None:
        try:
            self._session.run_with_iobinding(self._binding, self._run_options)
            self._binding.synchronize_outputs()
        except Exception as error:  # onnxruntime's exceptions have no base of their own
            own = None if self.accepts(self._shape) else self._session.get_inputs()[0].shape
            reason = size_trouble(self._shape, own, self.card) or reason_of(error)
            raise RunnerError(f"{self.name} failed while running: {reason}") from error

    def _reopen(self, error: RunnerError) -> None:
        """Open the session for any shape again, with the next options; raise `error` if there are none."""
        if self._opener is None or len(self._general) < 2 or not self.accepts(self._shape):
            raise error
        failed, *others = self._general
        self._session = self._opener.open_general(others[0])
        reason = str(error).removeprefix(f"{self.name} failed while running: ")
        self._own_notes += (f"with {named(others[0])} in place of {named(failed)}, which failed: {reason}",)
        self._general, self._binding = tuple(others), self._session.io_binding()
        if self._device_image is None:
            self._binding.bind_cpu_input(self._io.image, self._host_image)
        else:
            self._binding.bind_ortvalue_input(self._io.image, self._device_image.value)
        self._bind_outputs()

    def _refuse_fixed(self, reason: str) -> None:
        """Run images of this shape in the session for any shape, now and from now on."""
        assert self._pool is not None
        self._fixed = None
        self._pool.refuse(self._shape, reason)

    def _is_worth_it(self, shape: Shape) -> bool:
        """Whether a shape that came again shall have a session by now; by hand asked for, at its second run."""
        return self.tune_at_once or self._asked.fixed_shapes is not None or self._run_times.repaid(shape)

    def _tell(self) -> None:
        remarks = () if self._pool is None else self._pool.remarks
        self.notes = (*self._own_notes, *(self._run_times.remark if self._on_cuda else ()), *remarks)

    def _download(self) -> dict[str, NDArray[Any]]:
        return self._finished(self._binding.copy_outputs_to_cpu() if self._fixed is None else self._fixed.read())

    def _finished(self, arrays: list[NDArray[Any]]) -> dict[str, NDArray[Any]]:
        return self._io.finish(dict(zip(self._fetches, arrays, strict=True)), self.output_names)

    def _download_on_gpu(self) -> dict[str, Any]:
        """Return the outputs of this run, whose memory the next run does not use."""
        device = self._asked.device_id
        if self._fixed is not None:
            buffers = dict(zip(self._fetches, self._fixed.outputs, strict=True))
            held = {name: buffers[str(getattr(self._io, name))] for name in self.output_names}
            return {name: copy_of(buffer, device) for name, buffer in held.items()}
        # Up to onnxruntime 1.23 the memory is the binding's and not the value's, so the next run gets another binding.
        binding, self._binding = self._binding, self._session.io_binding()
        values = dict(zip(self._fetches, binding.get_outputs(), strict=True))
        own = {name: values[str(getattr(self._io, name))] for name in self.output_names}
        return {name: shared(value, binding, device) for name, value in own.items()}

    def _close(self) -> None:
        if self._pool is not None:
            self._pool.close()
        self._binding = self._session = self._device_image = self._host_image = self._fixed = None
