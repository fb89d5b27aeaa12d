"""`fcn-deploy export`: a checkpoint, a recipe or the demo as a proven ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import cloup

from fcn_deploy.cli.console import emit, progress
from fcn_deploy.cli.options.command import cli_command, group, json_option, option, output_option
from fcn_deploy.cli.options.data import classes_option, model_option, normalisation_option
from fcn_deploy.cli.options.numbers import RELATIVE_ERROR
from fcn_deploy.cli.options.tensors import TensorsCommand, network_size_option, outputs_option
from fcn_deploy.cli.options.values import FILE, parse_names
from fcn_deploy.vocabulary import INPUT_KINDS


@cli_command(
    cls=TensorsCommand,
    examples=[
        "fcn-deploy export fcn_resnet50.pth --classes classes.txt -o model.onnx",
        "fcn-deploy export last.ckpt --weights ema --mean 127.5,127.5,127.5 \\\n    --std 127.5,127.5,127.5",
        "fcn-deploy export demo --network-size 0.5 --outputs labels,logits -o half.onnx",
    ],
)
@cloup.argument(
    "source", help='A checkpoint (.pth, .pt, .safetensors), an exported .onnx file, a recipe (.toml), or "demo".'
)
@group(
    "Model",
    model_option,
    classes_option,
    option("--checkpoint", type=FILE, help="Checkpoint file that the recipe refers to."),
    option(
        "--weights",
        metavar="KEY",
        show_default="model where there are both",
        help="Which weights of a checkpoint: model, ema (averaged), or their key in the file (state_dict.model).",
    ),
)
@group(
    "Normalisation",
    normalisation_option("mean", "Subtracted from each channel"),
    normalisation_option("std", "Divided into each channel after that"),
    option(
        "--channel-order",
        type=click.Choice(("RGB", "BGR"), case_sensitive=False),
        show_default="the model's own",
        help="Order of the channels that the network expects; images are RGB for every user.",
    ),
)
@group(
    "Graph",
    network_size_option,
    option(
        "--input",
        "input_kind",
        type=click.Choice(INPUT_KINDS),
        default="uint8",
        help="image uint8[N, H, W, 3] RGB, or float32[N, 3, H, W] already normalised.",
    ),
    outputs_option,
    option(
        "--logit-tolerance",
        "tolerance",
        was=("--tolerance",),
        type=RELATIVE_ERROR,
        show_default="1e-4",
        help="Largest relative difference of a logit from PyTorch's.",
    ),
)
@group(
    "Result",
    output_option("out", "ONNX file to write.", type=FILE, show_default="SOURCE's name with .onnx"),
    json_option,
)
def command(source: str, out: Path | None, outputs: str, tolerance: float | None, **given: Any) -> None:
    """Write a model as ONNX and prove it equal to PyTorch.

    The graph has opset 17 and dynamic N, H and W. The proof runs ONNX Runtime and PyTorch on the same images of nine
    shapes; the file is written only if every shape passes. Weights above 2 GB go into a second file, NAME.onnx.data.
    """
    from fcn_deploy.model_file import kind_of
    from fcn_deploy.onnx_export.export import export
    from fcn_deploy.onnx_export.proof import TOLERANCE
    from fcn_deploy.onnx_export.text import render

    if given["checkpoint"] is not None and kind_of(source) != "recipe":
        raise click.UsageError("--checkpoint goes with a recipe (.toml); give the checkpoint itself as SOURCE")
    report = export(
        source,
        out,
        outputs=parse_names(outputs),
        tolerance=TOLERANCE if tolerance is None else tolerance,
        progress=progress(),
        **given,
    )
    emit(report.to_plain, lambda: render(report))
