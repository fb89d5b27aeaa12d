"""Take steps of gradient descent: device and types, learning rate, dropout."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fcn_deploy.card import ModelCard
from fcn_deploy.contract import Contract
from fcn_deploy.errors import TrainingError
from fcn_deploy.training.config import TrainConfig
from fcn_deploy.training.loading import Batch, generator

LONGEST_DEFAULT_WARMUP = 1000  # steps
AUXILIARY_WEIGHT = 0.5  # torchvision references/segmentation/train.py, `criterion`
_DROPOUT_STREAM = (1 << 32) + 1  # an index no image has, as in loading.py


class Stepper:
    """A model, its optimizer and how a step is taken.

    Attributes:
        contract: the model behind its preprocessing, on the device.
        optimizer: SGD with momentum.
        scaler: of the loss; does nothing unless the forward pass is float16.
    """

    def __init__(self, model: nn.Module, card: ModelCard, config: TrainConfig, precision: TrainingDevice) -> None:
        self.config, self.precision = config, precision
        self.contract = Contract(model, card).to(precision.device)
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if precision.device.type == "cpu" and precision.autocast_dtype is not None:
            _upsample_in_float(model)
        self.ignore_index = card.ignore_index
        self.optimizer = torch.optim.SGD(
            parameter_groups(model, config.weight_decay), lr=config.lr, momentum=config.momentum
        )
        self.scaler = torch.amp.GradScaler(precision.device.type, enabled=precision.scaled)

    def weights_finite(self) -> bool:
        """Return whether no weight is infinite or NaN."""
        return all(bool(torch.isfinite(parameter).all()) for parameter in self.contract.parameters())

    def step(self, batch: Batch, number: int, lr: float) -> tuple[float, int]:
        """Take step `number` (0-based) of the run, which also decides the dropout.

        Returns:
            The loss summed over labelled pixels (not finite if training has diverged), and their number.
        """
        if len(batch.images) == 0:
            return 0.0, 0
        torch.manual_seed(int(generator(self.config.seed, number, _DROPOUT_STREAM).integers(1 << 62)))
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        labels = batch.labels.to(self.precision.device, non_blocking=True)
        pixels = int((labels != self.ignore_index).sum())
        if not pixels:
            return 0.0, 0
        with size_advice(self.config, len(batch.images)):
            mean_loss = self._loss_sum(batch.images, labels) / pixels
            loss = float(mean_loss.detach())
            if math.isfinite(loss):
                self._descend(mean_loss)
        return loss * pixels, pixels

    def _loss_sum(self, images: Tensor, labels: Tensor) -> Tensor:
        x = self.contract.normalise(images.to(self.precision.device, non_blocking=True))
        with self.precision.autocast():
            outputs = _outputs(self.contract.model, x.contiguous(memory_format=torch.channels_last))
        losses = [
            weight * cross_entropy(logits.float(), labels, ignore_index=self.ignore_index, reduction="sum")
            for weight, logits in outputs
        ]
        return torch.stack(losses).sum()

    def _descend(self, loss: Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.unscale_(self.optimizer)
        if self.config.clip_norm:
            nn.utils.clip_grad_norm_(self.contract.parameters(), self.config.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()


def _outputs(model: nn.Module, x: Tensor) -> Iterable[tuple[float, Tensor]]:
    """Yield (weight, logits) of each output that is trained: one, or two where the model has an auxiliary head."""
    with_aux = getattr(model, "forward_with_aux", None)
    if with_aux is None:
        return [(1.0, model(x))]
    logits, auxiliary = with_aux(x)
    return [(1.0, logits)] if auxiliary is None else [(1.0, logits), (AUXILIARY_WEIGHT, auxiliary)]


def _upsample_in_float(model: nn.Module) -> None:
    """Have transposed convolutions compute in float32 under autocast: on a CPU bfloat16 ones run many times slower."""
    for layer in model.modules():
        if isinstance(layer, nn.ConvTranspose2d):
            layer.forward = _in_float(layer.forward)  # type: ignore[assignment, method-assign]


def _in_float(forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def call(x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return forward(x.float())

    return call


@contextmanager
def size_advice(config: TrainConfig, images: int) -> Iterator[None]:
    """Turn PyTorch's words about sizes that do not work into one line that says what to change."""
    height, width = config.crop
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise TrainingError(
            f"batch normalisation has a single value a channel in a batch of {images} at --crop {height}x{width}; "
            "make the crop larger, or --batch such that no batch of an epoch has one image"
        ) from error
    except RuntimeError as error:  # torch.OutOfMemoryError is one
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        raise TrainingError(
            f"out of memory at --batch {config.batch} and --crop {height}x{width}; make either smaller"
        ) from error


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Return the learned parameters, decayed and not.

    Biases and normalisation are not decayed (Goyal et al., 2017, section 5.1, for the latter), nor are transposed
    convolutions: decay would shrink an interpolation.
    """
    decayed: list[nn.Parameter] = []
    kept: list[nn.Parameter] = []
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad:
                decays = name == "weight" and isinstance(module, nn.Conv2d)
                (decayed if decays else kept).append(parameter)
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": kept, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def learning_rate(step: int, total: int, base: float, warmup: int, power: float) -> float:
    """Return the rate of `step` (0-based) of `total`: a linear rise over `warmup` steps, times the poly decay.

    Poly: base * (1 - step / total) ** power, with power 0.9 in "ParseNet" (Liu, Rabinovich, Berg, 2015,
    arXiv 1506.04579) and "DeepLab" (Chen et al., 2016, arXiv 1606.00915, section 4.1). Warm-up, from "Accurate,
    Large Minibatch SGD" (Goyal et al., 2017, arXiv 1706.02677, section 2.2): (step + 1) / warmup while below 1.
    """
    rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
    return float(base * rise * (1 - step / total) ** power)


def default_warmup(total: int) -> int:
    """Return a twentieth of the run, at most 1000 steps: deep nets without batch normalisation diverge without one."""
    return min(LONGEST_DEFAULT_WARMUP, total // 20)


@dataclass(frozen=True)
class TrainingDevice:
    """A device and the type of the forward pass.

    Attributes:
        device: where the model lives.
        autocast_dtype: of convolutions; None is float32 throughout.
        scaled: whether the loss is scaled, which float16 needs lest small gradients vanish.
    """

    device: torch.device
    autocast_dtype: torch.dtype | None

    @property
    def scaled(self) -> bool:
        return self.autocast_dtype is torch.float16

    def autocast(self) -> torch.autocast:
        """Return the context for a forward pass."""
        dtype = self.autocast_dtype
        return torch.autocast(self.device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None)


def choose_device(device: str, amp: bool | None) -> TrainingDevice:
    """Resolve "auto" and the default of mixed precision: on for a GPU, off for a CPU.

    bfloat16 where the device computes in it, otherwise float16 with a scaled loss (GPUs before Ampere).

    Raises:
        TrainingError: a GPU was asked for and there is none that PyTorch can use.
    """
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise TrainingError("--device cuda: PyTorch sees no NVIDIA GPU; use --device cpu, or install a CUDA build")
    on_gpu = device == "cuda" or (device == "auto" and available)
    mixed = on_gpu if amp is None else amp
    if not on_gpu:
        return TrainingDevice(torch.device("cpu"), torch.bfloat16 if mixed else None)
    half = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return TrainingDevice(torch.device("cuda"), half if mixed else None)
