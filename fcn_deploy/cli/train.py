"""`fcn-deploy train`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from fcn_deploy.cli.console import notice, progress
from fcn_deploy.cli.options.command import cli_command, group, option
from fcn_deploy.cli.options.completion import complete_models
from fcn_deploy.cli.options.data import (
    bad_images_option,
    classes_option,
    ignore_index_option,
    labels_option,
    source_option,
)
from fcn_deploy.cli.options.values import parse_classes, size_value
from fcn_deploy.cli.output import check_json_path, emit, json_option, output_option
from fcn_deploy.errors import TrainingError
from fcn_deploy.vocabulary import DEVICES, HEADS, UPSAMPLINGS

if TYPE_CHECKING:
    from fcn_deploy.training.config import TrainConfig
    from fcn_deploy.training.loop import TrainResult
    from fcn_deploy.training.state import EpochRecord

# Options that go into the model's constructor and not beside it in the configuration.
_MODEL_OPTIONS = ("width", "head", "upsampling", "learned")


def _range(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[float, float] | None:
    try:
        low, _, high = (value or "").partition(",")
        return None if value is None else (float(low), float(high or low))
    except ValueError:
        raise click.BadParameter(f"'{value}' is not a range such as 0.75,1.5") from None


_DATA = (
    source_option("--data", "data"),
    labels_option("--labels", "labels", "--data"),
    source_option("--val", "val", "Validation set, in the forms of --data."),
    labels_option("--val-labels", "val_labels", "--val"),
    classes_option,
    ignore_index_option,
    bad_images_option,
)
_MODEL = (
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
_OPTIMISER = (
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
_AUGMENTATION = (
    option("--crop", metavar="HxW", type=size_value, show_default="320x320", help="Size of the training crops."),
    option(
        "--scale",
        metavar="MIN,MAX",
        callback=_range,
        show_default="0.75,1.5",
        help="Factors of the random resizing of an image.",
    ),
    option("--no-flip", "flip", flag_value=False, default=None, help="Do not mirror images."),
)
_RUN = (
    option("--eval-every", type=int, show_default="1", help="Epochs between validations."),
    option("--device", type=click.Choice(DEVICES), show_default="auto", help="Where to train."),
    option("--amp/--no-amp", default=None, show_default="on a GPU only", help="Use mixed precision."),
    option("--workers", type=int, show_default="0", help="Processes that load images; 0 loads in this one."),
    option("--resume", "start", flag_value="resume", help="Continue the run in -o; its options need not be repeated."),
    option("--restart", "start", flag_value="restart", help="Delete the run in -o and start again."),
)


@cli_command(
    examples=[
        "fcn-deploy train --data VOC2012 --val VOC2012 --init vgg16.pth -o runs/voc",
        "fcn-deploy train --data photos --labels masks --val val.txt \\\n"
        "    --classes road,car --init demo -o runs/streets",
        "fcn-deploy train --resume -o runs/streets",
    ]
)
@group("Data", _DATA)
@group("Model", _MODEL)
@group("Optimiser", _OPTIMISER)
@group("Augmentation", _AUGMENTATION)
@group("Run", _RUN)
@group(
    "Result",
    output_option("output", "Folder of the run.", metavar="DIR", type=click.Path(path_type=Path), required=True),
    json_option,
)
def command(start: str | None, output: Path, json_path: str | None, **options: Any) -> None:
    """Train an FCN on a labelled data set.

    The folder -o gets best.safetensors and last.safetensors (weights with their model card), log.jsonl (one line per
    epoch) and state.safetensors, from which --resume continues after Ctrl-C or a kill with the same result. If an
    epoch is shorter than the time that saving takes, not every epoch is saved: last.safetensors may be a little older
    than the log.
    """
    from fcn_deploy.training.loop import train

    check_json_path(json_path)
    typed = click.get_current_context().get_parameter_source
    given = {name: value for name, value in options.items() if typed(name) is ParameterSource.COMMANDLINE}
    config = _config(given, output, resume=start == "resume")
    result = train(config, start=start or "new", on_epoch=_print_epoch, progress=progress())  # type: ignore[arg-type]
    if result.stopped_by is not None:
        click.echo(_how_to_resume(result), err=True)
        click.get_current_context().exit(128 + result.stopped_by)
    summary = _summary(result)
    emit(json_path, lambda: json.dumps(summary), lambda: click.echo(_text(summary)))


def _config(given: dict[str, Any], output: Path, *, resume: bool) -> TrainConfig:
    """What was given, over what the run in `output` began with if it is resumed, over the defaults."""
    from dataclasses import replace

    from fcn_deploy.training.config import TrainConfig
    from fcn_deploy.training.state import STATE_FILE, read_saved

    model_options = {name: given.pop(name) for name in _MODEL_OPTIONS if name in given}
    if "classes" in given:
        given["classes"] = parse_classes(given["classes"])
    if resume and (output / STATE_FILE).exists():
        saved = read_saved(output / STATE_FILE).config
        return replace(saved, output=output, options={**saved.options, **model_options}, **given)
    if resume and not {"data", "val"} <= given.keys():
        raise TrainingError(f"no run in {output} to resume; to begin one, give at least --data and --val")
    for name in ("data", "val"):
        if name not in given:
            raise click.UsageError(f"Missing option '--{name}'.")
    return TrainConfig(output=output, options=model_options, **given)


def _print_epoch(record: EpochRecord) -> None:
    scores = ""
    if record.mean_iou is not None:
        scores = f"  mIoU {_percent(record.mean_iou)}  boundary {_percent(record.boundary_mean_iou)}"
        scores += f"  pixel accuracy {_percent(record.pixel_accuracy)}"
    notice(f"epoch {record.epoch:4d}  loss {record.loss:.4f}{scores}  {record.seconds:.1f} s")


def _percent(fraction: float | None) -> str:
    return "   none" if fraction is None else f"{fraction:6.1%}"


def _how_to_resume(result: TrainResult) -> str:
    folder, position = result.config.output, result.position
    done = f"{len(position.history)} of {result.config.epochs} epochs and {position.step} steps done"
    return f"stopped: {done}; go on with: fcn-deploy train --resume -o {folder}"


def _summary(result: TrainResult) -> dict[str, Any]:
    position = result.position
    last = position.history[-1]
    return {
        "epochs": len(position.history),
        "steps": position.step,
        "seconds": round(sum(record.seconds for record in position.history), 1),
        "left_out": max(record.left_out for record in position.history),
        "loss": last.loss,
        "mean_iou": last.mean_iou,
        "pixel_accuracy": last.pixel_accuracy,
        "boundary_mean_iou": last.boundary_mean_iou,
        "best_mean_iou": position.best_mean_iou,
        "best_epoch": position.best_epoch,
        "best": str(result.best),
        "last": str(result.last),
    }


def _text(summary: dict[str, Any]) -> str:
    minutes = summary["seconds"] / 60
    best, last = _percent(summary["best_mean_iou"]), _percent(summary["mean_iou"])
    boundary, pixels = _percent(summary["boundary_mean_iou"]), _percent(summary["pixel_accuracy"])
    left_out = f", {summary['left_out']} images left out" if summary["left_out"] else ""
    return "\n".join(
        [
            f"{summary['epochs']} epochs, {summary['steps']} steps, {minutes:.1f} min, loss {summary['loss']:.4f}"
            + left_out,
            f"best  mIoU {best}  at epoch {summary['best_epoch']}  {summary['best']}",
            f"last  mIoU {last}  boundary {boundary}  pixel accuracy {pixels}  {summary['last']}",
        ]
    )
