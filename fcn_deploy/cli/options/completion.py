"""Complete the values of options in a shell: runners, models, kinds of model files. Nothing heavy is imported."""

from __future__ import annotations

import click

from fcn_deploy.vocabulary import QUANTIZED_PRECISIONS

DEVICES = ("cpu", "cuda")
Parts = dict[str, tuple[str, ...]]  # name -> what may follow behind a colon


def complete_models(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the models that begin so."""
    from fcn_deploy.models.registry import MODELS

    return [name for name in MODELS if name.startswith(incomplete)]


def complete_runner(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the runners that begin so, with a device after a colon."""
    from fcn_deploy.runners.registry import RUNNERS

    after: Parts = {name: DEVICES if line.device else () for name, line in RUNNERS.items()}
    return _with_parts(after, incomplete)


def complete_runners(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return what may follow in a list of runners with commas, each with a device and a precision after colons."""
    from fcn_deploy.runners.registry import RUNNERS

    done, comma, last = incomplete.rpartition(",")
    after: Parts = {
        name: (*(DEVICES if line.device else ()), *(QUANTIZED_PRECISIONS if line.opens != "network" else ()))
        for name, line in RUNNERS.items()
    }
    return [f"{done}{comma}{spec}" for spec in _with_parts(after, last)]


def _with_parts(after: Parts, incomplete: str) -> list[str]:
    """Return the names that begin so; behind "name:" the parts that are not in it yet."""
    *done, last = incomplete.split(":")
    if not done:
        return [name for name in after if name.startswith(last)]
    free = [part for part in after.get(done[0], ()) if part not in done and part.startswith(last)]
    return [":".join([*done, part]) for part in free]
