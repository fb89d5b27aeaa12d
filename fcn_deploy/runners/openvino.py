"""Run a network in OpenVINO behind the uint8 contract, as an edge device without a GPU would.

OpenVINO computes float layers in a type of its own choice (BF16 on CPUs that have it) and takes a request for a type
that the device lacks for another one. So the request is checked, and a note says what the compiled network computes in.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.card import CARD_KEY, ModelCard
from fcn_deploy.errors import GraphError, RunnerError, UnknownNameError
from fcn_deploy.graph.cpu.budget import MemoryBudget
from fcn_deploy.graph.cpu.memory import GraphMemory, Kernels
from fcn_deploy.graph.cpu.opening import for_kernels
from fcn_deploy.graph.ports import GraphIO, Port, describe_io
from fcn_deploy.graph.precheck.external_data import without_links
from fcn_deploy.graph.precheck.scan import scan
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.checks.labels import size_trouble
from fcn_deploy.runners.checks.sizes import misfit
from fcn_deploy.runners.registry import RUNNERS
from fcn_deploy.system.optional import require
from fcn_deploy.vocabulary import LABELS

# The types that may be asked for, by OpenVINO's names; FP16 is asked for by a file in FP16.
TYPES = {"fp32": "f32", "bf16": "bf16"}
# NumPy's names of OpenVINO's element types.
PORT_TYPES = {"u8": "uint8", "f32": "float32", "f16": "float16", "i32": "int32", "i64": "int64"}
# Layers that multiply, by the names in a compiled network, and what their types are called here.
MULTIPLYING = ("Convolution", "Deconvolution", "FullyConnected", "MatMul")
CALLED = {"i8": "INT8", "u8": "INT8", "bf16": "BF16", "f16": "FP16", "f32": "FP32"}
CARD = ["framework", CARD_KEY]


class OpenVinoRunner(Runner):
    """One request of a compiled network. On a CPU the image is read where it lies, without a copy."""

    def __init__(self, name: str, compiled: Any, io: GraphIO, *, outputs: tuple[str, ...] = (LABELS,)) -> None:
        super().__init__(name, io.card, outputs)
        self._io = io
        self._compiled, self._fetches = compiled, io.fetches(outputs)
        self._request = compiled.create_infer_request()
        self._tensor = require("openvino").Tensor
        self._image: NDArray[Any] | None = None
        self._worked: set[tuple[int, ...]] = set()  # shapes of images, shared with clones
        self.notes = (*computed_in(compiled), *io.host_work(outputs))

    @classmethod
    def open(
        cls, name: str, source: str, *, device: str, outputs: tuple[str, ...], threads: int | None, lanes: int = 1
    ) -> OpenVinoRunner:
        """Compile the .onnx file `source` for `device`, "cpu", "gpu" or "npu", with the type for float layers or
        without: "cpu:fp32", "bf16".

        Args:
            lanes: inferences that its clones will run at the same time, each on `threads` of a CPU.

        Raises:
            UnknownNameError: no such device or type.
            MissingDependencyError: OpenVINO is not installed.
            RunnerError: the device is not here, or does not compute in that type.
            GraphError: the file cannot be read, or is no segmentation network.
        """
        where, wanted = parse_device(device)
        core = open_core()
        _check_device(name, core, where, wanted)
        with without_links(Path(source), scan(Path(source))) as file:
            return cls._compile(name, source, file, where, wanted, outputs, threads, lanes)

    @classmethod
    def _compile(
        cls,
        name: str,
        source: str,
        file: Path,
        where: str,
        wanted: str | None,
        outputs: tuple[str, ...],
        threads: int | None,
        lanes: int,
    ) -> OpenVinoRunner:
        """Compile `file`, which `source` names; arguments and errors as for `open`."""
        core = open_core()
        opened, notes = for_kernels(file) if where == "cpu" else (file, ())
        try:
            model = core.read_model(opened)
        except RuntimeError as error:
            raise GraphError(f"{source}: OpenVINO cannot read it: {_reason(error)}") from error
        io = describe_io(source, [*map(_port, model.inputs)], [*map(_port, model.outputs)], _card(model, source))
        options: dict[str, object] = {} if wanted is None else {"INFERENCE_PRECISION_HINT": TYPES[wanted]}
        if threads is not None and where == "cpu":
            options["INFERENCE_NUM_THREADS"] = threads * lanes
        if lanes > 1 and where == "cpu":
            options["NUM_STREAMS"] = lanes
        try:
            runner = cls(name, core.compile_model(model, where.upper(), options), io, outputs=outputs)
        except RuntimeError as error:
            raise RunnerError(f"{name}: OpenVINO cannot compile {source}: {_reason(error)}") from error
        except GraphError as error:
            raise GraphError(f"{source}: {error}") from error
        runner.notes += notes
        if where == "cpu":
            runner.memory = MemoryBudget(GraphMemory(opened if notes else Path(source), _kernels(runner._compiled)))
        return runner

    @classmethod
    def find_devices(cls) -> dict[str, tuple[str, ...]]:
        core = open_core()
        types: dict[str, tuple[str, ...]] = {}
        for found in core.available_devices:  # "CPU", "GPU.0", "GPU.1"
            types.setdefault(
                found.lower().partition(".")[0], tuple(core.get_property(found, "OPTIMIZATION_CAPABILITIES"))
            )
        return types

    def _clone(self) -> OpenVinoRunner:
        runner = OpenVinoRunner(self.name, self._compiled, self._io, outputs=self.output_names)
        runner._worked = self._worked
        return runner

    def _upload(self, image: NDArray[np.uint8]) -> None:
        prepared = self._io.prepare(image)
        if not prepared.flags.writeable:  # OpenVINO shares no memory that it may not write
            prepared = prepared.copy()
        try:
            self._set(prepared)
        except RuntimeError as error:
            raise RunnerError(f"{self.name} does not take {list(image.shape)}: {_reason(error)}") from error

    def _set(self, image: NDArray[Any]) -> None:
        self._image = image  # the request keeps no array alive, only its address
        self._request.set_tensor(self._io.image, self._tensor(image, shared_memory=True))

    def _execute(self) -> None:
        assert self._image is not None
        shape = self._image.shape
        try:
            self._request.infer(share_outputs=True)
        except RuntimeError as error:
            if shape in self._worked and self._runs_behind_another(self._image):
                return
            size = self._image_size
            reason = size_trouble(size, None, self.card) or misfit(error, size) or _reason(error)
            raise RunnerError(f"{self.name} failed while running: {reason}") from error
        self._worked.add(shape)

    def _runs_behind_another(self, image: NDArray[Any]) -> bool:
        """Run an image behind a batch of two; False if that fails.

        An image that the network does not take leaves sizes of its own in the compiled network (OpenVINO 2026.4): the
        shape that came before it fails from then on, until one that is neither was run.
        """
        try:
            for batch in (np.concatenate([image, image]), image):
                self._set(batch)
                self._request.infer(share_outputs=True)
        except RuntimeError:
            return False
        return True

    def _download(self) -> dict[str, NDArray[Any]]:
        fetched = {name: self._request.get_tensor(name).data.copy() for name in self._fetches}
        return self._io.finish(fetched, self.output_names)

    def _close(self) -> None:
        self._request = self._image = self._compiled = None


def open_core() -> Any:
    """Return the one Core of the process: with the last one its plugins are unloaded, and ending threads crash.

    Raises:
        MissingDependencyError: OpenVINO is not installed.
    """
    return _made_once(require("openvino").Core)


@cache
def _made_once(make: Any) -> Any:
    return make()


def parse_device(text: str) -> tuple[str, str | None]:
    """Parse "cpu:bf16" as ("cpu", "bf16"), "fp32" -> ("cpu", "fp32"), "gpu" -> ("gpu", None)."""
    known = RUNNERS["openvino"].devices
    parts = text.split(":")
    wanted = [part for part in parts if part in TYPES]
    devices = [part for part in parts if part not in TYPES] or [known[0]]
    if devices[0] not in known or len(devices) > 1 or len(wanted) > 1:
        raise UnknownNameError.of("OpenVINO device or type", text, (*known, *TYPES))
    return devices[0], next(iter(wanted), None)


def _check_device(name: str, core: Any, device: str, wanted: str | None) -> None:
    """Raise RunnerError if the device is missing or lacks the type: OpenVINO would silently use another one."""
    available = [found.lower() for found in core.available_devices]
    if not any(found.partition(".")[0] == device for found in available):
        raise RunnerError(f"{name}: OpenVINO finds no {device} here; it has: {', '.join(available) or 'none'}")
    capabilities = core.get_property(device.upper(), "OPTIMIZATION_CAPABILITIES")
    if wanted is not None and wanted.upper() not in capabilities:
        has = ", ".join(capability.lower() for capability in capabilities if capability.lower() in (*TYPES, "fp16"))
        raise RunnerError(f"{name}: this {device} does not compute in {wanted}; it has: {has}")


def layer_types(compiled: Any) -> Counter[str]:
    """Return how many of the layers that multiply are computed in which type."""
    kinds: Counter[str] = Counter()
    for node in compiled.get_runtime_model().get_ops():
        facts = node.get_rt_info()
        if facts["layerType"].astype(str) in MULTIPLYING:
            kind = facts["runtimePrecision"].astype(str)
            kinds[CALLED.get(kind, kind)] += 1
    return kinds


def computed_in(compiled: Any) -> tuple[str, ...]:
    """Return the same as a note: "layers that multiply: 20 in BF16, 3 in FP32"."""
    listed = ", ".join(f"{count} in {kind}" for kind, count in layer_types(compiled).most_common())
    return (f"layers that multiply: {listed}",) if listed else ()


def _kernels(compiled: Any) -> Kernels:
    """Return how a compiled network holds its values: floats in the type in which most layers compute."""
    kinds = layer_types(compiled)
    narrow = kinds["BF16"] + kinds["FP16"] > kinds["FP32"]
    return Kernels(2 if narrow else 4, sums_in_place=True, columns=False, reorders=False, own_weights=True)


def _card(model: Any, source: str) -> ModelCard | None:
    return ModelCard.from_json(model.get_rt_info(CARD).astype(str), source) if model.has_rt_info(CARD) else None


def _port(port: Any) -> Port:
    kind, shape = port.element_type.to_string(), port.partial_shape
    dims = () if shape.rank.is_dynamic else tuple(d.get_length() if d.is_static else str(d) for d in shape)
    return Port(port.any_name, PORT_TYPES.get(kind, kind), dims)


def _reason(error: RuntimeError) -> str:
    """Return OpenVINO's message without the lines that name its source files, at most 300 characters."""
    lines = [line.strip() for line in str(error).splitlines()]
    details = [line for line in lines if line and not line.startswith(("Exception from", "Check '", "FrontEnd API"))]
    return " ".join(details or lines)[:300]
