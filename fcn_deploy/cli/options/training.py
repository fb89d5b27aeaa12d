"""The options of `train`; their defaults are those of `training.config.TrainConfig`, which a test holds."""

from __future__ import annotations

import click

from fcn_deploy.cli.options.command import option
from fcn_deploy.cli.options.data import (
    bad_images_option,
    classes_option,
    ignore_index_option,
    labels_option,
    source_option,
)
from fcn_deploy.cli.options.values import complete_models, size_value
from fcn_deploy.vocabulary import DEVICES, HEADS, UPSAMPLINGS


def _range(text: str) -> tuple[float, float]:
    try:
        low, _, high = text.partition(",")
        return float(low), float(high or low)
    except ValueError:
        raise click.BadParameter(f"'{text}' is not a range such as 0.75,1.5") from None


DATA_OPTIONS = (
    source_option("--data", "data"),
    labels_option("--labels", "labels", "--data"),
    source_option("--val", "val", "Validation set, in the forms of --data."),
    labels_option("--val-labels", "val_labels", "--val"),
    classes_option,
    ignore_index_option,
    bad_images_option,
)
MODEL_OPTIONS = (
    option(
        "--model",
        metavar="NAME",
        shell_complete=complete_models,
        show_default="fcn8s",
        help="fcn8s, fcn16s, fcn32s, fcn-resnet50, ...",
    ),
    option(
        "--init",
        metavar="FILE",
        show_default="random weights",
        help='Checkpoint to start from: VGG-16, the same model, 32s for 16s, 16s for 8s, "demo".',
    ),
    option("--width", type=float, show_default="1", help="Factor of the channels of a VGG model."),
    option(
        "--head", type=click.Choice(HEADS), show_default="fc", help="fc6 and fc7 of VGG-16, or score pool5 directly."
    ),
    option(
        "--upsampling",
        type=click.Choice(UPSAMPLINGS),
        show_default="bilinear",
        help="Initial weights of the transposed convolutions.",
    ),
    option(
        "--fixed-upsampling",
        "learned",
        flag_value=False,
        default=None,
        help="Keep the weights of the transposed convolutions fixed.",
    ),
)
OPTIMISER_OPTIONS = (
    option("--epochs", type=int, show_default="60", help="Passes over the training set."),
    option("--batch", type=int, show_default="4", help="Images per step."),
    option("--lr", type=float, show_default="0.01", help="Learning rate."),
    option("--momentum", type=float, show_default="0.9", help="Momentum of SGD; the FCN paper has 0.9 to 0.99."),
    option("--weight-decay", type=float, show_default="0.0005", help="L2 penalty on the weights."),
    option("--warmup", type=int, show_default="a twentieth of the run", help="Steps in which the rate rises."),
    option("--poly-power", type=float, show_default="0.9", help="Exponent of the rate's decay."),
    option("--clip-norm", type=float, show_default="5", help="Largest L2 norm of a gradient; 0 does not clip."),
    option("--seed", type=int, show_default="0", help="Seed of weights, order, augmentation and dropout."),
)
AUGMENTATION_OPTIONS = (
    option("--crop", metavar="HxW", type=size_value, show_default="320x320", help="Size of the training crops."),
    option(
        "--scale",
        metavar="MIN,MAX",
        type=_range,
        show_default="0.75,1.5",
        help="Factors of the random resizing of an image.",
    ),
    option("--no-flip", "flip", flag_value=False, default=None, help="Do not mirror images."),
)
RUN_OPTIONS = (
    option("--eval-every", type=int, show_default="1", help="Epochs between validations."),
    option("--device", type=click.Choice(DEVICES), show_default="auto", help="Where to train."),
    option("--amp/--no-amp", default=None, show_default="on a GPU only", help="Use mixed precision."),
    option("--workers", type=int, show_default="0", help="Processes that load images; 0 loads in this one."),
    option("--resume", "start", flag_value="resume", help="Continue the run in -o; its options need not be repeated."),
    option("--restart", "start", flag_value="restart", help="Delete the run in -o and start again."),
)
