"""Complete the values of options in a shell: runners and models. Nothing heavy is imported."""

from __future__ import annotations

import click

from fcn_deploy.vocabulary import QUANTIZED_PRECISIONS

Parts = dict[str, tuple[str, ...]]  # name -> what may follow behind a colon


def complete_models(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the models that begin so."""
    from fcn_deploy.models.registry import MODELS

    return [name for name in MODELS if name.startswith(incomplete)]


def complete_runner(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the runners that begin so, with a device or a type after a colon."""
    return _with_parts(_parts(), incomplete)


def complete_runners(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return what may follow in a list of runners with commas, with a precision after a colon too."""
    done, comma, last = incomplete.rpartition(",")
    return [f"{done}{comma}{spec}" for spec in _with_parts(_parts(QUANTIZED_PRECISIONS), last)]


def _parts(precisions: tuple[str, ...] = ()) -> Parts:
    """Return what may follow each runner's name: devices, types and, of a file that can be rewritten, `precisions`."""
    from fcn_deploy.runners.registry import RUNNERS

    return {
        name: (*line.devices, *line.types, *(precisions if line.opens != "network" else ()))
        for name, line in RUNNERS.items()
    }


def _with_parts(after: Parts, incomplete: str) -> list[str]:
    """Return the names that begin so; behind "name:" the parts that are not in it yet."""
    *done, last = incomplete.split(":")
    if not done:
        return [name for name in after if name.startswith(last)]
    free = [part for part in after.get(done[0], ()) if part not in done and part.startswith(last)]
    return [":".join([*done, part]) for part in free]
