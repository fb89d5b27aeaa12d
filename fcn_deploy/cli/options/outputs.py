"""Check that what a command line writes takes the place of nothing that it reads or writes besides."""

from __future__ import annotations

import os
from pathlib import Path

import click

from fcn_deploy.cli import console
from fcn_deploy.system.apart import reads


def check_outputs(context: click.Context) -> None:
    """Refuse to write a file that would be lost.

    Raises:
        UsageError: two options name one file to write.
        OutputError: an option names a file to write that another parameter names.
    """
    taken = dict[str, str]()
    for parameter in context.command.params:
        value = context.params.get(str(parameter.name))
        if not getattr(parameter, "writes", False):
            given = value if isinstance(value, tuple) else (value,)
            reads(*(Path(each) for each in given if isinstance(each, (str, Path)) and Path(each).is_file()))
            continue
        path = context.meta.get(console.JSON_PATH) if parameter.opts[-1] == "--json" else value
        if path is None or str(path) == console.STDOUT:
            continue
        for suffix in ("", *getattr(parameter, "companions", ())):
            other = taken.setdefault(os.path.realpath(f"{path}{suffix}"), parameter.opts[-1])
            if other != parameter.opts[-1]:
                named = "the same one" if not suffix else f"the same one ({Path(path).name}{suffix})"
                raise click.UsageError(f"{other} and {parameter.opts[-1]} need a file each; both name {named}", context)
