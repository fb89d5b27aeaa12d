"""`fcn-deploy evaluate`: the accuracy of one model on one labelled data set."""

from __future__ import annotations

import json

import click

from fcn_deploy.cli.console import progress
from fcn_deploy.cli.options.data import DATA_OPTIONS, MOST_THREADS, data_options, model_option, with_options
from fcn_deploy.cli.output import check_json_path, emit, json_option, print_table


@click.command()
@click.argument("model")
@with_options(DATA_OPTIONS)
@click.option("--runner", metavar="NAME", help="pytorch[:cpu|cuda] or onnxruntime[:cpu|cuda|...].  [default: by MODEL]")
@model_option
@click.option("--radius", type=click.IntRange(min=0), default=3, show_default=True, help="Boundary band in pixels.")
@click.option(
    "--threads", type=click.IntRange(1, MOST_THREADS), help="CPU threads.  [default: the runner's own choice]"
)
@json_option
def command(
    model: str,
    runner: str | None,
    model_name: str | None,
    radius: int,
    threads: int | None,
    json_path: str | None,
    **data: object,
) -> None:
    """Print the accuracy of MODEL on a labelled data set.

    MODEL is an .onnx file (run by ONNX Runtime unless --runner says otherwise), a checkpoint or a recipe (run by
    PyTorch), or "demo". Without --data the images are generated.

    Pixel accuracy, mean accuracy, mean IoU and frequency weighted IoU are those of the FCN paper, over all pixels,
    near label changes, and away from them. A class that is neither in the truth nor in the prediction is left out.
    """
    from fcn_deploy.evaluation.evaluate import evaluate
    from fcn_deploy.evaluation.plain import to_plain
    from fcn_deploy.evaluation.text import render

    check_json_path(json_path)
    report = evaluate(
        model,
        data_options(data),
        model_name=model_name,
        runner=runner,
        radius=radius,
        threads=threads,
        progress=progress(),
    )
    emit(json_path, lambda: json.dumps(to_plain(report), allow_nan=False), lambda: print_table(render(report)))
