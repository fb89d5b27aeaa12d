"""`fcn-deploy`: parse, call one library function, print. An expected error is one line and exit code 1."""

from __future__ import annotations

import importlib
import sys

import click

from ..errors import FcnDeployError
from ..version import __version__

# command -> (module in this package, one line for the overview); a command's module is imported when it is called.
COMMANDS = {
    "train": "Train an FCN on a labelled data set.",
    "evaluate": "Print the accuracy of a model on a labelled data set.",
    "export": "Write a model as ONNX and prove it equal to PyTorch.",
    "bench": "Compare the speed and the accuracy of a model's runners.",
}


class _Commands(click.Group):
    """Subcommands imported on demand, so that `--help` loads none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"{__package__}.{name.replace('-', '_')}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fcn-deploy")
def cli() -> None:
    """Take a fully convolutional segmentation network out of PyTorch and prove it unharmed."""


def main() -> None:
    """Entry point: 0 done, 1 an expected error, 2 a usage error, 130 Ctrl-C; a bug is a traceback."""
    try:
        code = cli.main(prog_name="fcn-deploy", standalone_mode=False)
    except FcnDeployError as error:
        click.echo(f"error: {error}", err=True)
        code = 1
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        code = 130
    sys.exit(code if isinstance(code, int) else 0)
