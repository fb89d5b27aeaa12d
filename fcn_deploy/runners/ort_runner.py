"""ONNX Runtime behind the uint8 contract, with bound inputs and outputs so that copies and arithmetic part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import GraphError, RunnerError
from ..spec import CARD_KEY, ModelCard
from .base import LABELS, Runner
from .graph_io import GraphIO, describe
from .ort_session import CUDA_FAMILY, one_line, open_session


class OrtRunner(Runner):
    """One session; buffers of CUDA providers live on the GPU, those of every other provider on the host.

    A graph that wants a normalised float image or gives logits alone is run too: the host does the rest, inside
    `upload` and `download`, and `notes` says so.
    """

    def __init__(
        self, name: str, session: Any, io: GraphIO, *, device: str = "cpu", outputs: tuple[str, ...] = (LABELS,)
    ) -> None:
        super().__init__(name, io.card, outputs)
        self._session = session
        self._io = io
        self._device = device
        self._fetches = io.fetches(outputs)
        self._binding = session.io_binding()
        self._device_image: Any = None
        self.notes = io.host_work(outputs)

    @classmethod
    def open(cls, name: str, source: str, *, device: str, outputs: tuple[str, ...], threads: int | None) -> OrtRunner:
        """Open the .onnx file `source` on the provider `device`; see `ort_session.open_session` for the errors."""
        if Path(source).suffix.lower() != ".onnx":
            raise RunnerError(f"{name} runs .onnx files, not {source}; fcn-deploy export makes one of it")
        session, notes = open_session(name, Path(source), device, threads)
        text = session.get_modelmeta().custom_metadata_map.get(CARD_KEY)
        card = ModelCard.from_json(text) if text else None
        io = describe(source, session.get_inputs(), session.get_outputs(), card)
        try:
            runner = cls(name, session, io, device="cuda" if device in CUDA_FAMILY else "cpu", outputs=outputs)
        except GraphError as error:
            raise GraphError(f"{source}: {error}") from error
        runner.notes = notes + runner.notes
        return runner

    def _upload(self, image: NDArray[np.uint8]) -> None:
        prepared = self._io.prepare(image)
        if self._device == "cpu":
            self._binding.bind_cpu_input(self._io.image, prepared)
        else:
            self._bind_on_device(prepared)
        # A binding keeps the arrays of its last run and would want the next ones to have their shape.
        self._binding.clear_binding_outputs()
        for output in self._fetches:
            self._binding.bind_output(output, self._device)

    def _bind_on_device(self, prepared: NDArray[Any]) -> None:
        """Copy into a device buffer that is kept while the shape stays."""
        from onnxruntime import OrtValue

        if self._device_image is None or tuple(self._device_image.shape()) != prepared.shape:
            self._device_image = OrtValue.ortvalue_from_numpy(prepared, self._device, 0)
        else:
            self._device_image.update_inplace(prepared)
        self._binding.bind_ortvalue_input(self._io.image, self._device_image)
        self._binding.synchronize_inputs()

    def _execute(self) -> None:
        try:
            self._session.run_with_iobinding(self._binding)
            self._binding.synchronize_outputs()
        except Exception as error:  # onnxruntime's exceptions have no base of their own
            raise RunnerError(f"{self.name} failed while running: {one_line(error)}") from error

    def _download(self) -> dict[str, NDArray[Any]]:
        arrays = self._binding.copy_outputs_to_cpu()
        return self._io.finish(dict(zip(self._fetches, arrays, strict=True)), self.output_names)

    def _close(self) -> None:
        self._binding = self._session = self._device_image = None
