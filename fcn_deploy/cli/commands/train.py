"""`fcn-deploy train`; the defaults of its options are those of `training.config.TrainConfig`, which a test holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fcn_deploy.cli.console import emit, notice, progress, say
from fcn_deploy.cli.options.command import cli_command, group, json_option, option, output_option, typed
from fcn_deploy.cli.options.data import (
    LABEL_OPTIONS,
    bad_images_option,
    labels_option,
    source_option,
    split_option,
)
from fcn_deploy.cli.options.numbers import Form, Number, WholeNumber
from fcn_deploy.cli.options.values import FILE, SIZE, complete_models
from fcn_deploy.training.config import COUNTS, LARGEST_SCALE, RATE
from fcn_deploy.vocabulary import DEVICES, HEADS, UPSAMPLINGS, WIDEST

if TYPE_CHECKING:
    from fcn_deploy.training.setup import TrainArguments


def _range(text: str) -> tuple[float, float]:
    words = text.split(",")
    try:
        low, high = float(words[0]), float(words[-1])
    except ValueError:
        low, high = 0.0, 0.0
    if not 0 < low <= high <= LARGEST_SCALE or len(words) > 2:
        raise click.BadParameter(f"'{text}' is not a range within 0<x<={LARGEST_SCALE}, such as 0.75,1.5")
    return low, high


def _count(name: str) -> WholeNumber:
    return WholeNumber(*COUNTS[name])


DATA_OPTIONS = (
    source_option("--data", "data"),
    labels_option("--labels", "labels", "--data"),
    split_option("--split", "split", "--data", "train"),
    source_option("--val", "val", "Validation set, in the forms of --data, or a share of --data such as 0.2."),
    labels_option("--val-labels", "val_labels", "--val"),
    split_option("--val-split", "val_split", "--val", "val"),
    *LABEL_OPTIONS,
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
    option(
        "--quantize",
        metavar="FILE",
        help="Quantization recipe (.toml): tune the network of --init in INT8 arithmetic, and write its INT8 file. "
        "Defaults are then --epochs 5 and --lr 0.001.",
    ),
    option(
        "--width", type=Number(0, WIDEST, above=True), show_default="1", help="Factor of the channels of a VGG model."
    ),
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
    option("--epochs", type=_count("epochs"), show_default="60", help="Passes over the training set."),
    option("--batch", type=_count("batch"), show_default="4", help="Images per step."),
    option("--lr", type=Number(0, RATE, above=True), show_default="0.01", help="Learning rate."),
    option(
        "--momentum",
        type=Number(0, 1, below=True),
        show_default="0.9",
        help="Momentum of SGD; the FCN paper has 0.9 to 0.99.",
    ),
    option("--weight-decay", type=Number(0, RATE), show_default="0.0005", help="L2 penalty on the weights."),
    option(
        "--warmup", type=_count("warmup"), show_default="a twentieth of the run", help="Steps in which the rate rises."
    ),
    option("--poly-power", type=Number(0, RATE), show_default="0.9", help="Exponent of the rate's decay."),
    option(
        "--clip-norm", type=Number(0, RATE), show_default="5", help="Largest L2 norm of a gradient; 0 does not clip."
    ),
    option("--seed", type=_count("seed"), show_default="0", help="Seed of weights, order, augmentation and dropout."),
)
AUGMENTATION_OPTIONS = (
    option("--crop", metavar="HxW", type=SIZE, show_default="320x320", help="Size of the training crops."),
    option(
        "--scale",
        metavar="MIN,MAX",
        type=Form(_range, f"0<x<={LARGEST_SCALE}"),
        show_default="0.75,1.5",
        help="Factors of the random resizing of an image.",
    ),
    option("--no-flip", "flip", flag_value=False, default=None, help="Do not mirror images."),
)
RUN_OPTIONS = (
    option("--eval-every", type=_count("eval_every"), show_default="1", help="Epochs between validations."),
    option("--device", type=click.Choice(DEVICES), show_default="auto", help="Where to train."),
    option("--amp/--no-amp", default=None, show_default="on a GPU only", help="Use mixed precision."),
    option(
        "--workers", type=_count("workers"), show_default="0", help="Processes that load images; 0 loads in this one."
    ),
    option("--resume", "start", flag_value="resume", help="Continue the run in -o; its options need not be repeated."),
    option("--restart", "start", flag_value="restart", help="Delete the run in -o and start again."),
)


@cli_command(
    examples=[
        "fcn-deploy train --data photos --labels masks --val 0.2 \\\n"
        "    --classes background,road,car --init demo --width 0.25 --head pool5 \\\n"
        "    -o runs/streets",
        "fcn-deploy train --data train.txt --val val.txt --init best.safetensors \\\n"
        "    --quantize int8.toml -o runs/int8",
        "fcn-deploy train --resume -o runs/streets",
    ]
)
@group("Data", DATA_OPTIONS)
@group("Model", MODEL_OPTIONS)
@group("Optimiser", OPTIMISER_OPTIONS)
@group("Augmentation", AUGMENTATION_OPTIONS)
@group("Run", RUN_OPTIONS)
@group("Result", output_option("output", "Folder of the run.", metavar="DIR", type=FILE, required=True), json_option)
def command(start: str | None, output: Path, **options: Any) -> None:
    """Train an FCN on a labelled data set.

    The folder -o gets best.safetensors and last.safetensors (weights with their model card), log.jsonl (one line per
    epoch) and state.safetensors, from which --resume continues after Ctrl-C or a kill with the same result. If an
    epoch is shorter than the time that saving takes, not every epoch is saved: last.safetensors may be a little older
    than the log.
    """
    from fcn_deploy.training.loop import train
    from fcn_deploy.training.text import epoch_line, how_to_resume, render

    result = train(
        output=output,
        start=start or "new",  # type: ignore[arg-type]
        on_epoch=lambda record: notice(epoch_line(record)),
        progress=progress(),
        **_given(options, may_lack_data=start == "resume"),
    )
    if result.stopped_by is not None:
        say(how_to_resume(result))
        click.get_current_context().exit(128 + result.stopped_by)
    emit(result.to_plain, lambda: render(result))


def _given(options: dict[str, Any], *, may_lack_data: bool) -> TrainArguments:
    """Return the options of the command line itself, so that a resumed run keeps its own settings."""
    given: Any = {name: value for name, value in options.items() if typed(name)}
    for name in () if may_lack_data else ("data", "val"):
        if name not in given:
            raise click.UsageError(f"Missing option '--{name}'.")
    return given  # type: ignore[no-any-return]
