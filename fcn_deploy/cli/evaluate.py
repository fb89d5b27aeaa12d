"""`fcn-deploy evaluate`: the accuracy of one model on one labelled data set."""

from __future__ import annotations

import json
from pathlib import Path

import click

from .console import progress
from .data_options import DATA_OPTIONS, data_options, with_options
from .tables import print_table

STDOUT = "-"


@click.command()
@click.argument("model")
@with_options(DATA_OPTIONS)
@click.option("--runner", metavar="NAME", help="pytorch[:cpu|cuda] or onnxruntime[:cpu|cuda|...].  [default: by MODEL]")
@click.option("--radius", type=click.IntRange(min=0), default=3, show_default=True, help="Boundary band in pixels.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads.  [default: the runner's own choice]")
@click.option("--json", "json_path", metavar="FILE", help="Write the figures as JSON; - for standard output.")
def command(
    model: str, runner: str | None, radius: int, threads: int | None, json_path: str | None, **data: object
) -> None:
    """Print the accuracy of MODEL on a labelled data set.

    MODEL is an .onnx file (run by ONNX Runtime unless --runner says otherwise), a checkpoint (run by PyTorch) or
    "demo". Without --data the images are generated.

    Pixel accuracy, mean accuracy, mean IoU and frequency weighted IoU are those of the FCN paper, over all pixels,
    near label changes, and away from them. A class that is neither in the truth nor in the prediction is left out.
    """
    from ..bench.accuracy import evaluate, to_plain
    from ..files import check_writable, write_text
    from ..report.accuracy import render

    if json_path not in (None, STDOUT):
        check_writable(Path(str(json_path)))
    report = evaluate(model, data_options(data), runner=runner, radius=radius, threads=threads, progress=progress())
    text = json.dumps(to_plain(report), allow_nan=False)
    if json_path == STDOUT:
        click.echo(text)
        return
    if json_path is not None:
        write_text(Path(json_path), text + "\n")
    print_table(render(report))
