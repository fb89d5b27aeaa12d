"""`fcn-deploy package`: a model repository for a server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import cloup

from fcn_deploy.cli.console import emit, progress
from fcn_deploy.cli.options.command import cli_command, group, json_option, option, output_option
from fcn_deploy.cli.options.numbers import BATCH, COPIES, COUNT, Form, WholeNumber
from fcn_deploy.cli.options.values import FILE, SIDES, File, size_value
from fcn_deploy.vocabulary import Size


def _sizes(text: str) -> tuple[Size, ...]:
    return tuple(size_value(size) for size in text.split(","))


def _flat(context: click.Context, parameter: click.Parameter, given: Sequence[tuple[Size, ...]]) -> tuple[Size, ...]:
    return tuple(size for sizes in given for size in sizes)


@cli_command(
    examples=[
        "fcn-deploy package model.onnx --output models --name streets",
        "fcn-deploy package model.engine -o models --instances 2",
        "fcn-deploy package model.onnx -o models --cpu --sizes 360x480,720x960",
    ]
)
@cloup.argument(
    "model", type=FILE, help='A TensorRT engine or an .onnx file; a checkpoint, a recipe or "demo" is exported first.'
)
@group(
    "What to serve",
    option("--name", show_default="the file's name", help="Name of the model."),
    option("--version", type=COUNT, default=1, help="Version of this file."),
    option(
        "--max-batch",
        type=BATCH,
        show_default="an engine's largest N, else 8",
        help="Largest number of images that Triton combines in a batch.",
    ),
    option("--instances", type=COPIES, default=1, help="Copies of the model on each device."),
    option("--cpu", is_flag=True, help="Run an ONNX file on the CPU."),
    option(
        "--queue-delay-us",
        type=WholeNumber(0, 10**9),
        default=2000,
        help="Microseconds that a request may wait for others of its size.",
    ),
    option(
        "--sizes",
        "warmup",
        was=("--size",),
        multiple=True,
        type=Form(_sizes, SIDES),
        callback=_flat,
        metavar="LIST",
        show_default="the usual size",
        help="Image sizes to warm up with: 360x480,720x960.",
    ),
)
@group(
    "Result",
    output_option(
        "repository",
        "Triton model repository to write into.",
        was=("--triton",),
        metavar="DIR",
        type=File(path_type=Path, file_okay=False),
        required=True,
    ),
    option("--force", is_flag=True, help="Replace this version of a model of that name; others stay."),
    json_option,
)
def command(model: Path, repository: Path, cpu: bool, **given: Any) -> None:
    """Write a model repository for Triton Inference Server.

    The configuration has uint8 images in and labels out, dynamic batching, one instance group, a warm-up for each size
    and the class names. Serve it with `tritonserver --model-repository=DIR`; an engine needs the Triton release whose
    TensorRT built it.
    """
    from fcn_deploy.packaging.text import render
    from fcn_deploy.packaging.triton import package
    from fcn_deploy.packaging.triton_config import TritonOptions

    packaged = package(model, repository, TritonOptions(gpu=not cpu, **given), progress())
    emit(packaged.to_plain, lambda: render(packaged))
