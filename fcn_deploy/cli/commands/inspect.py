"""`fcn-deploy inspect`: what a file takes, gives, holds and was built as."""

from __future__ import annotations

import click
import cloup

from fcn_deploy.cli.console import emit, progress
from fcn_deploy.cli.options.command import cli_command, group, json_option, option


@cli_command(
    examples=[
        "fcn-deploy inspect best.safetensors",
        "fcn-deploy inspect model.int8.onnx --layers",
        "fcn-deploy inspect model.engine --json -",
    ]
)
@cloup.argument("file", help='ONNX file, engine or its sidecar (.json), checkpoint, recipe (.toml), or "demo".')
@group(
    "Result",
    option("--layers", is_flag=True, help="List every layer of an engine, every convolution of an ONNX file."),
    json_option,
)
def command(file: str, layers: bool) -> None:
    """Show the inputs, outputs, classes and layers of a file.

    Nothing is run and no GPU is needed. An engine is compared with its sidecar, FILE.json.

    Exit code: 0, or 1 if the file is damaged or its sidecar belongs to another engine.
    """
    from fcn_deploy.inspection.inspect import inspect
    from fcn_deploy.inspection.text import render

    inspection = inspect(file, progress=progress())
    emit(inspection.to_plain, lambda: render(inspection, layers), indent=1)
    click.get_current_context().exit(1 if inspection.faults else 0)
