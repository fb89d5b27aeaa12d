"""`fcn-deploy`: parse, call one library function, print. An expected error is one line and exit code 1."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import warnings
from types import FrameType

import click

from fcn_deploy.errors import FcnDeployError
from fcn_deploy.system.files import os_error_line
from fcn_deploy.version import __version__

# command -> (module in this package, one line for the overview); a command's module is imported when it is called.
COMMANDS = {
    "train": "Train an FCN on a labelled data set.",
    "evaluate": "Print the accuracy of a model on a labelled data set.",
    "export": "Write a model as ONNX and prove it equal to PyTorch.",
    "audit": "Say what an ONNX file computes in which precision, and what TensorRT would reject.",
    "quantize": "Rewrite an ONNX file to FP16 or INT8.",
    "inspect": "Say what an ONNX file, an engine or a checkpoint takes, gives and holds.",
    "doctor": "Say what this machine and this installation can do, and why not the rest.",
    "build-engine": "Build a TensorRT engine, with or without a GPU.",
    "predict": "Write the label maps of images, folders and videos.",
    "package": "Write a model repository that Triton Inference Server serves.",
    "diagnose": "Name the stage, and the layer, where a deployed model first differs.",
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
    """Entry point: 0 done, 1 an expected error, 2 a usage error, 130 Ctrl-C, 143 SIGTERM; a bug is a traceback.

    Errors of the system (a file that may not be read, a full disk behind standard output, no memory) are one line
    too. What fails after a signal failed because of it: an import that is broken off can end in any exception.
    """
    received = _prepare_process()
    try:
        code = cli.main(prog_name="fcn-deploy", standalone_mode=False)
        sys.stdout.flush()
    except (click.Abort, KeyboardInterrupt):
        code = _interrupted(signal.SIGINT)
    except Exception as error:
        code = _interrupted(received[-1]) if received else _failed(error)
    sys.exit(code if isinstance(code, int) else 0)


def _interrupted(number: int) -> int:
    click.echo("interrupted", err=True)
    return 128 + number


def _failed(error: Exception) -> int:
    """Tell an expected error in one line and give its exit code; a bug goes on."""
    if isinstance(error, FcnDeployError):
        return _fail(str(error))
    if isinstance(error, OSError):
        code = _fail(os_error_line(error))
        _discard_output()
        return code
    if isinstance(error, MemoryError):
        return _fail(f"out of memory ({error or 'no more was granted'}); use a smaller batch, image or model")
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    raise error


def _fail(message: str) -> int:
    click.echo(f"error: {message}", err=True)
    return 1


def _prepare_process() -> list[int]:
    """Characters that a stream cannot show become '?'; a polite kill unwinds, so that temporary files go.

    Returns: the signals SIGINT and SIGTERM received from here on, unless a part of the program took them itself.

    Pillow warns from half of its limit on pixels on; an image is read or refused, and only the latter is told.
    """
    warnings.filterwarnings("ignore", message=r"Image size \(\d+ pixels\) exceeds limit")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    received: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as a shell's background jobs have it
        signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    return received


def _discard_output() -> None:
    """What standard output could not take would raise once more when Python flushes it at the end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
