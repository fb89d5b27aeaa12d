"""`fcn-deploy train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fcn_deploy.cli.console import emit, notice, progress
from fcn_deploy.cli.options.command import cli_command, group, json_option, output_option, typed
from fcn_deploy.cli.options.training import (
    AUGMENTATION_OPTIONS,
    DATA_OPTIONS,
    MODEL_OPTIONS,
    OPTIMISER_OPTIONS,
    RUN_OPTIONS,
)
from fcn_deploy.cli.options.values import FILE

if TYPE_CHECKING:
    from fcn_deploy.training.setup import TrainArguments


@cli_command(
    examples=[
        "fcn-deploy train --data VOC2012 --val VOC2012 --init vgg16.pth -o runs/voc",
        "fcn-deploy train --data photos --labels masks --val val.txt \\\n"
        "    --classes road,car --init demo --width 0.25 -o runs/streets",
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
        click.echo(how_to_resume(result), err=True)
        click.get_current_context().exit(128 + result.stopped_by)
    emit(result.to_plain, lambda: render(result))


def _given(options: dict[str, Any], *, may_lack_data: bool) -> TrainArguments:
    """Return the options of the command line itself, so that a resumed run keeps its own settings."""
    given: Any = {name: value for name, value in options.items() if typed(name)}
    for name in () if may_lack_data else ("data", "val"):
        if name not in given:
            raise click.UsageError(f"Missing option '--{name}'.")
    return given  # type: ignore[no-any-return]
