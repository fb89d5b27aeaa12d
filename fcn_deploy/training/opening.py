"""Say what a run is going to do, before it takes hours."""

from __future__ import annotations

from torch import nn

from fcn_deploy.system.formatting import count
from fcn_deploy.training.config import TrainConfig
from fcn_deploy.training.setup import RunInputs

# From random weights, fewer images cannot fill a network of so many parameters: with width 0.25 and CamVid's 367
# frames training works (docs/train.md), with the full width and a few dozen it does not.
FEW_IMAGES, MANY_PARAMETERS = 500, 10_000_000
FIRST_STEPS, FIRST_SECONDS = 5, 30.0  # are timed before an epoch is estimated, whichever comes first
SHORT_RUN = 30.0  # seconds; of a shorter run nothing is estimated


def opening_lines(config: TrainConfig, model: nn.Module, material: RunInputs, device: str, step: int) -> list[str]:
    """Return the network, its size, where its weights come from and the images; a warning where that is hopeless.

    Args:
        step: steps done; a run that goes on has its weights from them.
    """
    parameters = sum(parameter.numel() for parameter in model.parameters())
    images, steps = len(material.train), -(-len(material.train) // config.batch)
    weights = f"weights of step {step}" if step else "random weights" if config.init is None else f"from {config.init}"
    lines = [
        f"{config.model}: {parameters:,} parameters, {weights}, {device}; {count(images, 'training image')}, "
        f"{len(material.val):,} for validation, {count(steps, 'step')} an epoch"
    ]
    if not step and config.init is None and images < FEW_IMAGES and parameters >= MANY_PARAMETERS:
        lines.append(
            f"{count(images, 'image')} cannot train {parameters / 1e6:.0f} million random weights: start with "
            f"{_better_start(config)}, or make the network smaller with --width"
        )
    return lines


def _better_start(config: TrainConfig) -> str:
    if config.model.startswith(("fcn-resnet", "deeplab")):
        return "a public checkpoint (--init with a recipe, such as fcn-resnet50-coco.toml)"
    demo = "--init demo --width 0.25 --head pool5, " if config.model == "fcn8s" else ""
    return f"{demo}ImageNet weights (--init vgg16-imagenet.toml) or a public FCN (--init {_recipe(config.model)})"


def _recipe(model: str) -> str:
    return f"{model.partition('-')[0]}-voc.toml"


class Pace:
    """Tells once, after the first steps, how long an epoch takes.

    Args:
        steps_per_epoch, epochs: of the run, as far as it is still ahead.
    """

    def __init__(self, steps_per_epoch: int, epochs: int) -> None:
        self.steps_per_epoch, self.epochs = steps_per_epoch, epochs
        self._seconds: list[float] | None = []

    def after(self, seconds: float) -> str | None:
        """Take the time of one more step; return the line when it is known.

        The first step, which warms up, is left out, unless it alone takes all the time.
        """
        if self._seconds is None:
            return None
        self._seconds.append(seconds)
        if len(self._seconds) < FIRST_STEPS and sum(self._seconds) < FIRST_SECONDS:
            return None
        timed = self._seconds[1:] or self._seconds
        self._seconds = None
        epoch = self.steps_per_epoch * sum(timed) / len(timed)
        whole = epoch * self.epochs
        if whole < SHORT_RUN:
            return None
        return (
            f"an epoch takes about {duration(epoch)}, {count(self.epochs, 'epoch')} {duration(whole)}; "
            "validation comes on top"
        )


def duration(seconds: float) -> str:
    """ "45 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
