"""Every option of every command refuses numbers that cannot be meant, or takes them, when the words are parsed."""

from __future__ import annotations

import click
import pytest

from fcn_deploy.cli.main import SECTIONS, cli
from fcn_deploy.cli.options.numbers import Number, WholeNumber
from fcn_deploy.errors import FcnDeployError

NAMES = [name for lines in SECTIONS.values() for name in lines if name != "doctor"]
NUMBERS = (
    "nan", "-nan", "inf", "-inf", "-1", "0", "1e308", "1e-320", "9" * 5000, "1_0", "٣", "", " ", "0x10", "NaN,NaN,NaN",
    "inf,inf", "1e9,1e9", "99999x99999x99999", "99999999x99999999", "nan%", "9" * 400 + "%", "1e999ms", "a=nan",
    "\x1b[31m",
)  # fmt: skip


def options(name: str) -> list[click.Parameter]:
    command = cli.get_command(click.Context(cli, info_name="fcn-deploy"), name)
    assert command is not None
    return [each for each in command.params if isinstance(each, click.Option) and not each.is_flag]


@pytest.mark.parametrize("name", NAMES)
def test_a_number_that_cannot_be_meant_is_refused_in_one_line_or_taken(name: str):
    command = cli.get_command(click.Context(cli, info_name="fcn-deploy"), name)
    assert command is not None
    context = click.Context(command, info_name=name)
    refused = []
    for option in options(name):
        for number in NUMBERS:
            value = (number,) * option.nargs if option.nargs > 1 else number
            try:
                option.type_cast_value(context, [value] if option.multiple else value)
            except (click.UsageError, FcnDeployError) as error:
                refused.append(str(error))
    assert all(refused)
    assert refused or {each.name for each in options(name)} == {"json"}


@pytest.mark.parametrize("name", NAMES)
def test_a_number_has_a_range_with_both_ends_in_the_help(name: str):
    context = click.Context(cli, info_name="fcn-deploy")
    for option in options(name):
        if isinstance(option.type, (click.types.IntParamType, click.types.FloatParamType)):
            assert isinstance(option.type, (WholeNumber, Number)), f"{name} {option.opts}: a type of options/numbers.py"
            assert None not in (option.type.min, option.type.max)
            record = option.get_help_record(context)
            assert record is not None
            assert "<=x<" in record[1] or "<x<" in record[1], record
