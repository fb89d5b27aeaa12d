"""`fcn-deploy evaluate`: the accuracy of one model on one labelled data set."""

from __future__ import annotations

from typing import Any

import cloup

from fcn_deploy.cli.console import emit, progress
from fcn_deploy.cli.options.command import cli_command, group, json_option
from fcn_deploy.cli.options.data import RUN_OPTIONS, data_options, image_options, runner_option
from fcn_deploy.cli.options.values import picked


@cli_command(
    examples=[
        "fcn-deploy evaluate best.safetensors --data VOC2012",
        "fcn-deploy evaluate model.int8.onnx --data val.txt --max-images 100",
        "fcn-deploy evaluate demo --runner onnxruntime --json accuracy.json",
    ]
)
@cloup.argument("model", help='An engine, an .onnx file, a checkpoint, a recipe (.toml), or "demo".')
@group("Data", image_options())
@group("What to run", runner_option, RUN_OPTIONS)
@group("Result", json_option)
def command(model: str, **given: Any) -> None:
    """Measure the accuracy of a model on a labelled data set.

    Without --data the images are generated. The result has pixel accuracy, mean accuracy, mean IoU and frequency
    weighted IoU as the FCN paper defines them: over all pixels, near label changes, and away from them. A class that
    occurs neither in the labels nor in the prediction is left out.
    """
    from fcn_deploy.evaluation.evaluate import evaluate
    from fcn_deploy.evaluation.text import render

    report = evaluate(
        model, data_options(given), **picked(given, "model_name", "runner", "radius", "threads"), progress=progress()
    )
    emit(report.to_plain, lambda: render(report))
