"""`fcn-deploy doctor`: what this machine and this installation can do, and why not the rest."""

from __future__ import annotations

import click

from fcn_deploy.cli.console import emit, progress
from fcn_deploy.cli.options.command import cli_command, group, json_option


@cli_command(examples=["fcn-deploy doctor", "fcn-deploy doctor --json doctor.json", "fcn-deploy doctor --verbose"])
@group("Result", json_option)
def command() -> None:
    """Show what this machine and installation can run, and why not the rest.

    Each package is tried in a process of its own: PyTorch and ONNX Runtime run a small network, TensorRT builds one.

    Exit code: 0, or 1 if something fails that needs neither a GPU nor an optional package.
    """
    from fcn_deploy.doctor.examine import examine
    from fcn_deploy.doctor.text import render

    examination = examine(progress())
    emit(examination.to_plain, lambda: render(examination), indent=1)
    click.get_current_context().exit(1 if examination.broken else 0)
