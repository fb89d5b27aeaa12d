"""`fcn-deploy data check`: what is printed and written, and the exit code."""

from __future__ import annotations

import json

from click.testing import CliRunner

from fcn_deploy.cli.main import cli
from tests.support.masks import write_masks


def check(folder, *options):
    words = ["data", "check", str(folder / "images"), "--labels", str(folder / "masks"), "--classes", "a,b", *options]
    return CliRunner().invoke(cli, words)


def test_a_good_set_is_shown_and_drawn(tmp_path):
    write_masks(tmp_path, (0, 255))
    result = check(tmp_path, "--label-values", "0,255", "-o", str(tmp_path / "sheet.png"))
    assert result.exit_code == 0, result.output
    assert "no problem found" in result.output
    assert (tmp_path / "sheet.png").is_file()


def test_a_problem_is_exit_code_3_and_in_the_json(tmp_path):
    write_masks(tmp_path, (0, 255))
    result = check(tmp_path, "--json", str(tmp_path / "report.json"))
    assert result.exit_code == 3
    assert "problem: class b has no pixel" in result.output
    (problem,) = json.loads((tmp_path / "report.json").read_text())["problems"]
    assert problem.endswith("if 255 is a class, give --label-values 0,255")
    assert check(tmp_path, "--json", "-").exit_code == 3
