"""`fcn-deploy`: parse, call one library function, print. An expected error is one line and exit code 1."""

from __future__ import annotations

import difflib
import importlib
import signal
import sys
import warnings
from types import FrameType
from typing import Any

import click
import cloup

from fcn_deploy.cli.console import say
from fcn_deploy.cli.options.budget import WORSE
from fcn_deploy.cli.options.command import SETTINGS, Context, verbosity_options
from fcn_deploy.errors import FcnDeployError, SearchError, first_line
from fcn_deploy.system.apart import apart
from fcn_deploy.system.escape import abridged, visible_line
from fcn_deploy.system.files import os_error_line
from fcn_deploy.system.interrupt import heeded, ignore_signals, new_request, repeats_request, within_import
from fcn_deploy.system.memory import is_out_of_memory
from fcn_deploy.system.optional import absence
from fcn_deploy.system.streams import discard_output, prepare_streams
from fcn_deploy.system.temporaries import choose_temporary_folder
from fcn_deploy.version import __version__

# section -> command (module in commands/) -> its line in the overview. A module is imported when it is called.
SECTIONS = {
    "Start here": {
        "bench": "Compare the speed and accuracy of a model's runners.",
        "doctor": "Show what this machine can run, and why not the rest.",
    },
    "Train": {
        "data": "Check labelled images before they are used.",
        "train": "Train an FCN on a labelled data set.",
        "evaluate": "Measure the accuracy of a model on a labelled data set.",
    },
    "Deploy": {
        "export": "Write a model as ONNX and prove it equal to PyTorch.",
        "adopt": "Take in an ONNX file of another tool, with a proof.",
        "quantize": "Rewrite a model to FP16, BF16, FP8 or INT8.",
        "choose": "Choose the fastest file and runner within limits.",
        "build-engine": "Build a TensorRT engine, with or without a GPU.",
    },
    "Check": {
        "inspect": "Show the inputs, outputs, classes and layers of a file.",
        "audit": "Show the precision of each layer, and what TensorRT rejects.",
        "diagnose": "Find the stage and the layer where results first differ.",
    },
    "Use": {
        "predict": "Write the label maps of images, folders and videos.",
        "watch": "Judge without labels whether images still fit an INT8 file.",
        "package": "Write a model repository for Triton Inference Server.",
    },
}
# What users of other tools type, and the command that does it here.
MEANT = {
    "benchmark": "bench", "compare": "bench", "time": "bench", "profile": "bench",
    "dataset": "data", "data-check": "data",
    "eval": "evaluate", "val": "evaluate", "validate": "evaluate", "test": "evaluate",
    "fit": "train", "convert": "export", "onnx": "export",
    "import": "adopt", "graft": "adopt", "wrap": "adopt",
    "auto": "choose", "optimize": "choose", "autotune": "choose",
    "int8": "quantize", "fp16": "quantize", "bf16": "quantize", "fp8": "quantize", "quantise": "quantize",
    "calibrate": "quantize",
    "build": "build-engine", "engine": "build-engine", "trt": "build-engine", "tensorrt": "build-engine",
    "info": "inspect", "show": "inspect", "check": "audit", "lint": "audit", "debug": "diagnose", "bisect": "diagnose",
    "infer": "predict", "detect": "predict", "segment": "predict", "run": "predict",
    "monitor": "watch", "drift": "watch",
    "triton": "package", "serve": "package", "env": "doctor",
}  # fmt: skip
POLL_S = 0.01  # between two looks at whether an import is over
EPILOG = """\
\b
Each command explains itself: fcn-deploy COMMAND --help.
Shell completion (for zsh: zsh_source, for fish: fish_source):
  eval "$(_FCN_DEPLOY_COMPLETE=bash_source fcn-deploy)"
"""


class _Program(cloup.Group):
    """Commands in sections, imported on demand, so that `--help` loads none of them."""

    context_class = Context

    def main(self, *args: Any, **settings: Any) -> Any:
        """Run the program; no file that it reads is written."""
        with apart():
            return super().main(*args, **settings)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.commands:
            return None
        command: click.Command = importlib.import_module(f"{__package__}.commands.{name.replace('-', '_')}").command
        return command

    def handle_bad_command_name(
        self, bad_name: str, valid_names: list[str], error: click.UsageError
    ) -> click.UsageError:
        if "." in bad_name or "/" in bad_name:
            hint = f" Name a command first, as in: fcn-deploy inspect {bad_name}"
            return click.UsageError(f"No such command {bad_name!r}.{hint}", error.ctx)
        near = [MEANT[bad_name]] if bad_name in MEANT else difflib.get_close_matches(bad_name, [*valid_names, *MEANT])
        meant = dict.fromkeys(MEANT.get(name, name) for name in near)
        hint = f" Did you mean {' or '.join(map(repr, meant))}?" if meant else ""
        return click.UsageError(f"No such command {bad_name!r}.{hint}", error.ctx)


@cloup.group(
    cls=_Program,
    context_settings=SETTINGS,
    sections=[
        cloup.Section(title, [click.Command(name, short_help=line) for name, line in lines.items()])
        for title, lines in SECTIONS.items()
    ],
    params=verbosity_options(),
    epilog=EPILOG,
)
@click.version_option(__version__, prog_name="fcn-deploy")
def cli() -> None:
    """Deploy a segmentation network from PyTorch, and check at each step that its results stay the same."""


def main() -> None:
    """Run the program.

    Exit: 0 done, 1 expected error, 2 usage error, 3 not within limits, 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP;
    a traceback is a bug. Errors of the system (a file that may not be read, a full disk behind standard output, no
    memory) are one line too. An error after a signal counts as an interruption: an interrupted import can raise any
    exception.
    """
    received = _prepare_process()
    try:
        try:
            code = cli.main(prog_name="fcn-deploy", standalone_mode=False)
            sys.stdout.flush()
        finally:
            ignore_signals()
        if received:  # in a destructor, where Python loses the exception, or in the last import
            code = _interrupted(received[-1])
    except (click.Abort, KeyboardInterrupt):
        code = _interrupted(signal.SIGINT)
    except SystemExit as ended:
        code = _interrupted(received[-1]) if received else ended.code
    except Exception as error:
        code = _interrupted(received[-1]) if received else _failed(error)
    sys.exit(code if isinstance(code, int) else 0)


def _interrupted(number: int) -> int:
    say("interrupted")
    return 128 + number


def _failed(error: Exception) -> int:
    """Print an expected error in one line and return its exit code; raise any other one."""
    code = 1
    if isinstance(error, FcnDeployError):
        message = str(error)
        code = WORSE if isinstance(error, SearchError) else 1
    elif (missing := absence(error)) is not None:
        message = missing
    elif isinstance(error, OSError):
        message = os_error_line(error)
    elif is_out_of_memory(error):
        reason = first_line(error) if str(error) else "no more was granted"
        message = f"out of memory ({reason}); use a smaller batch, image or model"
    elif isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return error.exit_code
    elif isinstance(error, click.UsageError):
        code, command = error.exit_code, error.ctx.command_path if error.ctx else "fcn-deploy"
        message = f"{' '.join(error.format_message().split())} (see {command} --help)"
    else:
        raise error
    say(f"error: {abridged(visible_line(message))}")
    if isinstance(error, OSError):
        discard_output()
    return code


def _prepare_process() -> list[int]:
    """Make the streams safe to write to; end on SIGTERM and SIGHUP in an orderly way, without temporary files.

    Pillow's warning from half of its limit on pixels is switched off: the limit itself is an error.

    Returns: the signals of `ENDING` received from here on, unless a part of the program handles them itself.
    """
    prepare_streams()
    choose_temporary_folder()
    warnings.filterwarnings("ignore", message=r"Image size \(\d+ pixels\) exceeds limit")
    received: list[int] = []

    def later(_: int, frame: FrameType | None) -> None:
        if within_import(frame):
            signal.signal(signal.SIGALRM, later)
            signal.setitimer(signal.ITIMER_REAL, POLL_S)
        else:  # whoever handles it by now, such as a step that is finished and saved
            new_request()
            signal.raise_signal(received.pop())

    def stop(number: int, frame: FrameType | None) -> None:
        if repeats_request():
            return
        received.append(number)
        if len(received) == 1 and within_import(frame):
            later(number, frame)
        else:
            end(number)

    def end(number: int) -> None:
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    for number in heeded():
        signal.signal(number, stop)
    new_request()
    return received
