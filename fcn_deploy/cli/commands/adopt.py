"""`fcn-deploy adopt`: an ONNX file of another tool with our contract and a model card, proven."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import cloup

from fcn_deploy.cli.console import emit, progress
from fcn_deploy.cli.options.command import cli_command, group, json_option, option, output_option
from fcn_deploy.cli.options.data import classes_option
from fcn_deploy.cli.options.numbers import RELATIVE_ERROR, Number
from fcn_deploy.cli.options.tensors import TensorsCommand, network_size_option, outputs_option
from fcn_deploy.cli.options.values import FILE, SIZE, TRIPLE, parse_names


@cli_command(
    cls=TensorsCommand,
    examples=[
        "fcn-deploy adopt unet.onnx --mean 123.7,116.3,103.5 --std 58.4,57.1,57.4 \\\n"
        "    --classes classes.txt -o unet.fcn.onnx",
        "fcn-deploy adopt polyps.onnx --scale 255 --threshold 0.4 --classes polyp",
        "fcn-deploy adopt third.onnx --no-normalisation --channel-order bgr",
    ],
)
@cloup.argument("model", type=FILE, help="An .onnx file of another tool: one image batch in, scores or labels out.")
@group(
    "Image",
    option("--mean", metavar="A,B,C", type=TRIPLE, help="Mean of each channel, in the network's order, 0..255."),
    option("--std", metavar="A,B,C", type=TRIPLE, help="Standard deviation of each channel, likewise."),
    option(
        "--scale",
        type=Number(0, 1e6, above=True),
        show_default="1",
        help="Divide the image by this first: 255 for a network of images in 0..1.",
    ),
    option(
        "--channel-order",
        type=click.Choice(("rgb", "bgr"), case_sensitive=False),
        default="rgb",
        help="Order of the channels that the network expects.",
    ),
    option(
        "--size",
        type=SIZE,
        metavar="HxW",
        show_default="the first of the usual ones that runs",
        help="Size of an image that the network takes.",
    ),
    network_size_option,
    option(
        "--no-normalisation", is_flag=True, help="The graph takes 0..255 and normalises, or needs no normalisation."
    ),
)
@group(
    "Classes",
    classes_option,
    option(
        "--threshold",
        type=Number(0, 1, above=True, below=True),
        default=0.5,
        help="Probability above which a pixel is of the class of a network with one channel.",
    ),
    option("--scores", metavar="NAME", show_default="the one of the image's size", help="Output to make labels of."),
)
@group(
    "Result",
    outputs_option,
    option(
        "--logit-tolerance",
        "tolerance",
        type=RELATIVE_ERROR,
        show_default="1e-4",
        help="Largest relative difference of a score from the given file's.",
    ),
    output_option("out", "ONNX file to write.", type=FILE, show_default="MODEL's name with .fcn.onnx"),
    json_option,
)
def command(model: Path, out: Path | None, outputs: str, tolerance: float | None, **given: Any) -> None:
    """Take in an ONNX file of another tool: a uint8 image in, labels out, and a proof.

    The normalisation, a resize of smaller scores and the argmax or threshold become nodes of the graph, and the
    classes go into its model card; all other commands then take the file. It is written only if ONNX Runtime gives
    the same labels of the given file at every size tried: any, multiples of a number, or the only one.
    """
    from fcn_deploy.adoption.adopt import adopt
    from fcn_deploy.adoption.text import render
    from fcn_deploy.onnx_export.proof import TOLERANCE

    report = adopt(
        model,
        out,
        outputs=parse_names(outputs),
        tolerance=TOLERANCE if tolerance is None else tolerance,
        **{**given, "channel_order": given["channel_order"].upper()},
        progress=progress(),
    )
    emit(report.to_plain, lambda: render(report))
