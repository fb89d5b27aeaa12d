"""The reference: the PyTorch network behind the uint8 contract."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fcn_deploy.card import ModelCard
from fcn_deploy.contract import Contract
from fcn_deploy.errors import RunnerError, UnknownNameError, first_line
from fcn_deploy.models.network import load_network
from fcn_deploy.runners.base import DOWNLOAD, EXECUTE, UPLOAD, Runner, StepEvents, image_of
from fcn_deploy.runners.tickets import Tickets
from fcn_deploy.vocabulary import LABELS, LOGITS


class TorchRunner(Runner):
    """`model` on "cpu" or "cuda". On a GPU the image goes through pinned memory and `execute` waits for the device."""

    def __init__(
        self,
        name: str,
        model: torch.nn.Module,
        card: ModelCard,
        *,
        device: str = "cpu",
        outputs: tuple[str, ...] = (LABELS,),
    ) -> None:
        super().__init__(name, card, outputs)
        self._device = torch.device(device)
        self._network: Contract | None = Contract(model, card).eval().to(self._device)
        self._image: torch.Tensor | None = None
        self._results: dict[str, torch.Tensor] = {}
        self._events: StepEvents | None = None

    @classmethod
    def open(
        cls,
        name: str,
        source: str,
        *,
        device: str,
        outputs: tuple[str, ...],
        threads: int | None,
        load: Callable[[], tuple[torch.nn.Module, ModelCard]] | None = None,
    ) -> TorchRunner:
        """Load `source` on `device`; `threads` sets PyTorch's intra-op threads, for the whole process.

        Args:
            load: gives the network in place of reading `source`; a GPU gets a copy, so that it stays on the CPU.

        Raises:
            RunnerError: CUDA was asked for and this PyTorch has none.
            UnknownNameError: no such device.
        """
        if device not in ("cpu", "cuda"):
            raise UnknownNameError.of("device of the pytorch runner", device, ("cpu", "cuda"))
        if device == "cuda" and not torch.cuda.is_available():
            built = f"CUDA {torch.version.cuda} but finds no GPU" if torch.version.cuda else "no CUDA"
            raise RunnerError(f"{name}: PyTorch {torch.__version__} has {built}; use pytorch:cpu")
        if threads is not None:
            torch.set_num_threads(threads)
        model, card = load_network(source) if load is None else load()
        if load is not None and device == "cuda":
            model = copy.deepcopy(model)
        return cls(name, model, card, device=device, outputs=outputs)

    def clone(self) -> TorchRunner:
        self._require("opened", "uploaded", "executed")
        clone = copy.copy(self)
        clone._state, clone._image, clone._results, clone._tickets = "opened", None, {}, Tickets(self.name, [{}])
        return clone

    def logits(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return float32[N, C, H, W] of `image` uint8[N, H, W, 3], for margins; leaves the three steps' state alone."""
        if self._network is None:
            raise RunnerError(f"runner {self.name} is closed; open it again")
        with torch.inference_mode():
            tensor = torch.from_numpy(_writable(image_of({"image": image}))).to(self._device)
            logits: NDArray[np.float32] = self._network.logits(tensor).float().cpu().numpy()
        return logits

    def _upload(self, image: NDArray[np.uint8]) -> None:
        tensor = torch.from_numpy(_writable(image))
        if self._device.type == "cuda":
            pinned = tensor.pin_memory()
            with self._timed(UPLOAD):
                tensor = pinned.to(self._device, non_blocking=True)
            torch.cuda.synchronize(self._device)
        self._image = tensor

    def _execute(self) -> None:
        assert self._network is not None
        assert self._image is not None
        try:
            with torch.inference_mode():
                with self._timed(EXECUTE):
                    self._results = _outputs(self._network, self._image, self.output_names)
                if self._device.type == "cuda":
                    torch.cuda.synchronize(self._device)
        except RuntimeError as error:
            raise RunnerError(f"{self.name} failed on {list(self._image.shape)}: {first_line(error)}") from error

    def _download(self) -> dict[str, NDArray[Any]]:
        with self._timed(DOWNLOAD):
            arrays = {name: tensor.cpu().numpy() for name, tensor in self._results.items()}
        self.device_ns = None if self._events is None else self._events.read()
        return arrays

    def _timed(self, step: int) -> AbstractContextManager[None]:
        if self._device.type != "cuda" or not self.time_on_device:
            return nullcontext()
        if self._events is None:
            self._events = StepEvents(
                lambda: torch.cuda.Event(enable_timing=True),  # type: ignore[no-untyped-call]
                lambda begin, end: float(begin.elapsed_time(end)),
            )
        return self._events.around(step)

    def _close(self) -> None:
        self._network, self._image, self._results = None, None, {}
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def _outputs(network: Contract, image: torch.Tensor, names: tuple[str, ...]) -> dict[str, torch.Tensor]:
    if names == (LABELS,):
        return {LABELS: network(image)}
    logits = network.logits(image)
    both = {LABELS: logits.argmax(1).to(network.label_dtype), LOGITS: logits.float()}
    return {name: both[name] for name in names}


def _writable(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the image, copied if it is read-only: PyTorch would warn, although it never writes to an input."""
    return image if image.flags.writeable else image.copy()
