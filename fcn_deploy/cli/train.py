"""`fcn-deploy train`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fcn_deploy.cli import console
from fcn_deploy.cli.options.values import parse_classes, size_value
from fcn_deploy.cli.output import check_json_path, emit, json_option
from fcn_deploy.errors import TrainingError
from fcn_deploy.vocabulary import BAD_IMAGES, DEVICES, HEADS, UPSAMPLINGS

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


_data = [
    click.option("--data", help="Training set: a list of pairs, a VOC root, an image folder, synthetic[:N[:SEED]]."),
    click.option("--val", help="Validation set, the same kinds."),
    click.option("--labels", help="Label folder, where --data is an image folder."),
    click.option("--val-labels", help="Label folder, where --val is an image folder."),
    click.option("--classes", help="Class names: a file with one a line, or a comma list."),
    click.option("--ignore-index", type=int, help="Label of unlabelled pixels in the files."),
    click.option("--bad-images", type=click.Choice(BAD_IMAGES), help="At an unreadable image.  [default: stop]"),
    click.option("--workers", type=int, help="Processes that load images.  [default: 0]"),
]
_model = [
    click.option("--model", help="fcn8s, fcn16s, fcn32s, fcn-resnet50 ...  [default: fcn8s]"),
    click.option("--width", type=float, help="Multiplies the channels of a VGG model."),
    click.option("--head", type=click.Choice(HEADS), help="fc6 and fc7, or a score on pool5."),
    click.option("--upsampling", type=click.Choice(UPSAMPLINGS), help="Initial transposed convolutions."),
    click.option("--fixed-upsampling", "learned", flag_value=False, default=None, help="Do not train them."),
    click.option("--init", metavar="FILE", help="Start from this checkpoint (32s -> 16s -> 8s, VGG-16, same model)."),
]
_descent = [
    click.option("--epochs", type=int, help="[default: 60]"),
    click.option("--batch", type=int, help="Images a step.  [default: 4]"),
    click.option("--crop", type=size_value, metavar="HxW", help="Size of training crops.  [default: 320x320]"),
    click.option("--scale", metavar="MIN,MAX", callback=_range, help="Random resizing.  [default: 0.75,1.5]"),
    click.option("--no-flip", "flip", flag_value=False, default=None, help="Do not mirror images."),
    click.option("--lr", type=float, help="Learning rate.  [default: 0.01]"),
    click.option("--momentum", type=float, help="[default: 0.9; the paper has 0.9 to 0.99]"),
    click.option("--weight-decay", type=float, help="[default: 0.0005]"),
    click.option("--warmup", type=int, help="Steps of rising rate.  [default: a twentieth of the run]"),
    click.option("--poly-power", type=float, help="Exponent of the rate's decay.  [default: 0.9]"),
    click.option("--clip-norm", type=float, help="Largest gradient norm; 0 is none.  [default: 5]"),
    click.option("--seed", type=int, help="[default: 0]"),
    click.option("--device", type=click.Choice(DEVICES), help="[default: auto]"),
    click.option("--amp/--no-amp", default=None, help="Mixed precision.  [default: on a GPU only]"),
    click.option("--eval-every", type=int, help="Epochs between validations.  [default: 1]"),
]


def _options(function: Any) -> Any:
    for option in reversed(_data + _model + _descent):
        function = option(function)
    return function


@click.command(name="train")
@_options
@click.option("--resume", "start", flag_value="resume", help="Go on with the run in -o; its options need no repeating.")
@click.option("--restart", "start", flag_value="restart", help="Throw away the run in -o.")
@click.option("-o", "--out", "output", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@json_option
def command(start: str | None, output: Path, json_path: str | None, **options: Any) -> None:
    """Train an FCN on a labelled data set.

    The folder -o gets best.safetensors and last.safetensors (weights with their model card), log.jsonl (a line an
    epoch) and state.safetensors, from which --resume goes on after Ctrl-C or a kill with the same result. Epochs that
    are quicker than their saving are not all saved: last.safetensors may be a little older than the log.
    """
    from fcn_deploy.training.loop import train

    check_json_path(json_path)
    given = {name: value for name, value in options.items() if value is not None}
    config = _config(given, output, resume=start == "resume")
    on_epoch = _print_epoch if sys.stderr.isatty() else _quiet
    result = train(config, start=start or "new", on_epoch=on_epoch, progress=console.progress())  # type: ignore[arg-type]
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


def _quiet(record: EpochRecord) -> None:
    return None


def _print_epoch(record: EpochRecord) -> None:
    scores = ""
    if record.mean_iou is not None:
        scores = f"  mIoU {_percent(record.mean_iou)}  boundary {_percent(record.boundary_mean_iou)}"
        scores += f"  pixel accuracy {_percent(record.pixel_accuracy)}"
    click.echo(f"epoch {record.epoch:4d}  loss {record.loss:.4f}{scores}  {record.seconds:.1f} s", err=True)


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
