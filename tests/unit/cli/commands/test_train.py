"""The options of train show the defaults that a run has."""

from __future__ import annotations

from dataclasses import MISSING, fields

import click
import pytest

from fcn_deploy.cli.commands.train import command
from fcn_deploy.cli.options.values import size_value
from fcn_deploy.training.config import TrainConfig

DEFAULTS = {field.name: field.default for field in fields(TrainConfig) if field.default not in (MISSING, None)}
SHOWN = {
    param.name: param.show_default
    for param in command.params
    if isinstance(param, click.Option) and isinstance(param.show_default, str) and param.name in DEFAULTS
}


@pytest.mark.parametrize("name", SHOWN)
def test_help_shows_the_default_of_a_run(name):
    shown, default = SHOWN[name], DEFAULTS[name]
    read = {
        tuple: lambda text: size_value(text) if "x" in text else tuple(map(float, text.split(","))),
        str: str,
        int: int,
        float: float,
    }[type(default)]
    assert read(shown) == default


def test_defaults_are_shown():
    assert {"epochs", "batch", "lr", "crop", "scale", "model", "device"} <= SHOWN.keys()
