"""The three options of a budget."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from fcn_deploy.cli.options.budget import budget_of, budget_options
from fcn_deploy.cli.options.command import cli_command, group


@pytest.fixture
def parsed():
    seen = []

    @cli_command(examples=[])
    @group("Budgets", budget_options("on --data"))
    def command(**given):
        seen.append(budget_of(given))

    def run(*words: str):
        result = CliRunner().invoke(command, words)
        return seen.pop() if result.exit_code == 0 else " ".join(result.output.split())

    return run


def test_the_three_options_make_a_budget(parsed):
    words = ("--max-miou-drop", "0.3", "--max-boundary-drop", "0.5", "--max-class-drop", "pole=1,car=0.5")
    found = parsed(*words)
    assert (found.miou_drop, found.boundary_drop, found.class_drops) == (0.3, 0.5, {"pole": 1.0, "car": 0.5})
    assert not parsed()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("--max-class-drop", "pole"), "'--max-class-drop': 'pole' is not CLASS=POINTS; write pole=1"),
        (("--max-boundary-drop", "-1"), "'--max-boundary-drop': '-1' is not a number of points"),
        (("--max-miou-drop", "nan"), "'nan' is not a number of points"),
    ],
)
def test_what_is_written_wrongly_is_one_usage_error_with_the_option(parsed, words, found):
    assert found in parsed(*words)
