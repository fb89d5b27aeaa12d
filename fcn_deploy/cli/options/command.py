"""Declare a command: its options in groups with their old names hidden, its examples, and -v, -q and -h."""

from __future__ import annotations

import difflib
import shlex
import shutil
from collections.abc import Callable, Sequence
from typing import Any

import click
import cloup
from click.core import ParameterSource

from fcn_deploy.cli import console
from fcn_deploy.cli.options.numbers import Form
from fcn_deploy.cli.options.outputs import check_outputs
from fcn_deploy.system.files import check_current_folder

Decorator = Callable[[Any], Any]

_WORDS = f"{__name__}.words"

NARROWEST = 20  # columns; with fewer, click and cloup raise ValueError, and a word is a column of letters
WIDEST = 80
SETTINGS: dict[str, Any] = {
    "help_option_names": ["-h", "--help"],
    "show_default": True,
    "formatter_settings": cloup.HelpFormatter.settings(
        max_width=WIDEST, col1_max_width=26, theme=cloup.HelpTheme(heading=cloup.Style(bold=True))
    ),
}


class Formatter(cloup.HelpFormatter):
    """Help as wide as the terminal, from `NARROWEST` to `WIDEST`."""

    def __init__(self, **settings: Any) -> None:
        columns = shutil.get_terminal_size((WIDEST, 24)).columns - 1
        super().__init__(**{**settings, "width": settings["width"] or max(NARROWEST, min(WIDEST, columns))})


class Context(cloup.Context):
    """Render help by `Formatter`."""

    formatter_class = Formatter


class Option(cloup.Option):
    """An option that also takes the names that it had in earlier releases; neither help nor errors show those.

    Empty text is refused unless the option `may_be_empty`: as a path it is the current folder.

    Attributes:
        writes: whether its value is a file or a folder that the command writes.
        companions: what follows its name in the names of files that are written next to it.
    """

    def __init__(
        self,
        *args: Any,
        was: Sequence[str] = (),
        may_be_empty: bool = False,
        writes: bool = False,
        companions: Sequence[str] = (),
        **attrs: Any,
    ) -> None:
        super().__init__(*args, **attrs)
        self.was, self.may_be_empty = tuple(was), may_be_empty
        self.writes, self.companions = writes, tuple(companions)

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        """Convert as click does; UsageError for empty text."""
        if not (self.is_flag or self.may_be_empty) and _has_empty(value):
            raise click.BadParameter("it is empty; give a value, or leave the option out", ctx, self)
        return super().type_cast_value(ctx, value)

    def make_metavar(self, ctx: click.Context) -> str:
        """Return N for a whole number, X for another one and FILE, where click has INTEGER RANGE and the like."""
        if self.metavar is None and isinstance(self.type, click.Path):
            return "FILE"
        if self.metavar is None and isinstance(self.type, (click.types.IntParamType, click.types.FloatParamType)):
            return "N" if isinstance(self.type, click.types.IntParamType) else "X"
        return super().make_metavar(ctx)

    def get_help_extra(self, ctx: click.Context) -> Any:
        """Show a default in words as one in figures, and the range of numbers in a form of their own."""
        extra = super().get_help_extra(ctx)
        if isinstance(self.type, Form):
            extra["range"] = self.type.ends
        if isinstance(self.show_default, str):
            extra["default"] = self.show_default
        return extra

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Let the parser store the value of each old name on its own, so that two names given at once are seen."""
        super().add_to_parser(parser, ctx)
        own = self.name, self.opts
        try:
            for old in self.was:
                self.name, self.opts = old, [old]
                super().add_to_parser(parser, ctx)
        finally:
            self.name, self.opts = own

    def consume_value(self, ctx: click.Context, opts: Any) -> Any:
        """Take the value of the name that was given; UsageError for an old and another name together."""
        old = [name for name in self.was if name in opts]
        if len(old) + (self.name in opts) > 1:
            raise click.UsageError(f"{old[0]} is an earlier name of {self.opts[-1]}; give one of them", ctx)
        return super().consume_value(ctx, {**opts, self.name: opts[old[0]]} if old else opts)


class Command(cloup.Command):
    """A command with examples at the end of its help, and -v and -q among its options.

    Attributes:
        hints: what to say to an option that the command lacks, where users expect it.
    """

    context_class = Context

    def __init__(
        self, *args: Any, examples: Sequence[str] = (), hints: dict[str, str] | None = None, **attrs: Any
    ) -> None:
        attrs["params"] = [*(attrs.get("params") or []), *verbosity_options()]
        super().__init__(*args, **attrs)
        self.examples = tuple(examples)
        self.hints = hints or {}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as click does, and keep the words; the hint at an unknown option never shows an old name."""
        ctx.meta[_WORDS] = tuple(args)
        try:
            rest = super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.option_name in self.hints:
                message = f"No such option '{error.option_name}'. {self.hints[error.option_name]}"
                raise click.UsageError(message, ctx) from error
            shown = [name for param in self.get_params(ctx) for name in (*param.opts, *param.secondary_opts)]
            near = difflib.get_close_matches(error.option_name, [name for name in shown if name[:2] == "--"], 1)
            raise click.NoSuchOption(error.option_name, possibilities=near, ctx=ctx) from error
        for argument in self.params:
            if isinstance(argument, click.Argument) and _has_empty(ctx.params.get(str(argument.name))):
                raise click.BadParameter("it is empty; name a file or folder", ctx, argument)
        return rest

    def invoke(self, ctx: click.Context) -> Any:
        check_current_folder()
        check_outputs(ctx)
        with console.described(ctx):
            return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.examples:
            formatter.write_paragraph()
            formatter.write_heading("Examples")
            for example in self.examples:
                formatter.write("".join(f"  {line}\n" for line in example.splitlines()))
        super().format_epilog(ctx, formatter)


def _has_empty(value: Any) -> bool:
    return value == "" or (isinstance(value, (tuple, list)) and "" in value)


def cli_command(*, examples: Sequence[str], cls: type[Command] = Command, **attrs: Any) -> Decorator:
    """Make a function a command; its docstring is the help, `examples` are command lines for the end of it."""
    return cloup.command(cls=cls, examples=examples, context_settings=SETTINGS, **attrs)


def option(*names: str, was: Sequence[str] = (), writes: bool = False, **attrs: Any) -> Decorator:
    """Declare an option as `click.option` does.

    Args:
        was: the names that it had in earlier releases, which still work.
        writes: whether it names what the command writes; two such options cannot name one file.
    """
    return cloup.option(*names, cls=Option, was=was, writes=writes, **attrs)


json_option = option(
    "--json",
    metavar="FILE",
    writes=True,
    expose_value=False,
    callback=console.remember_json_path,
    help="Write the result as JSON; - prints it instead of the text.",
)


def output_option(dest: str, help: str, *, was: Sequence[str] = ("--out",), **attrs: Any) -> Decorator:
    """Return -o/--output, the file or folder that a command writes."""
    return option("-o", "--output", dest, was=was, writes=True, help=help, **{"metavar": "FILE", **attrs})


def group(title: str, *options: Decorator | Sequence[Decorator]) -> Decorator:
    """Put options, or sequences of them, under one heading of the help, in this order."""
    flat = [each for entry in options for each in (entry if isinstance(entry, Sequence) else (entry,))]
    return cloup.option_group(title, *flat)


def command_line() -> str:
    """Return the running command and its words as they were typed, quoted for a shell."""
    context = click.get_current_context()
    return shlex.join(["fcn-deploy", str(context.info_name), *context.meta[_WORDS]])


def typed(name: str) -> bool:
    """Tell whether the running command's parameter `name` is given on the command line itself."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def refuse_without(needed: str, *names: str, words: str = "") -> None:
    """Raise UsageError (`words`) for the first of the parameters `names` that is given while `needed` is not."""
    flags = {parameter.name: parameter.opts[-1] for parameter in click.get_current_context().command.params}
    for name in names:
        if typed(name) and not typed(needed):
            raise click.UsageError(f"{flags[name]} {words or f'needs {flags[needed]}'}")


def verbosity_options() -> list[click.Parameter]:
    """Return -v and -q, which the program takes before a command's name and the command after it."""
    shared: dict[str, Any] = {"is_flag": True, "expose_value": False, "callback": console.set_verbosity}
    verbose = "Show versions, the time of each step, and the traceback of an error."
    quiet = "Show the result and errors only: no progress, no notices."
    return [Option(["-v", "--verbose"], help=verbose, **shared), Option(["-q", "--quiet"], help=quiet, **shared)]
