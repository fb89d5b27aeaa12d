"""The scripts that the pages give to readers do what the pages say."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from fcn_deploy.benchmark.record.file import write_record
from fcn_deploy.cli.main import cli
from fcn_deploy.recipe import Recipe, load_recipe
from tests.support import ROOT
from tests.support.bench_records import REFERENCE, ROWS, WORSE, remeasured, with_rows
from tests.support.commands import calls, check


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def script(name: str, language: str, holds: str) -> str:
    """The only block of the page in that language with that text."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", page(name), re.MULTILINE | re.DOTALL)
    (found,) = [block for block in blocks if holds in block]
    return found


def steps() -> list[list[str]]:
    """The arguments of each `fcn-deploy` of the page's workflow, in its order."""
    whole = yaml.safe_load(script("ci-gate.md", "yaml", "jobs:"))
    (job,) = whole["jobs"].values()
    runs = [re.sub(r" *\\\n\s*", " ", step["run"]) for step in job["steps"] if "run" in step]
    lines = [line for text in runs for line in text.splitlines() if line.startswith("fcn-deploy ")]
    for line in lines:
        check(line)
    return [found for line in lines for found in calls(line)]


def test_the_workflow_of_the_gate_parses_and_each_step_has_what_the_one_before_it_wrote():
    quantize, against_pytorch, against_baseline = steps()
    assert quantize[quantize.index("-o") + 1] in against_pytorch
    assert against_pytorch[against_pytorch.index("--json") + 1] == against_baseline[2]
    uploaded = script("ci-gate.md", "yaml", "jobs:").partition("path: |")[2].split()
    assert uploaded == [against_baseline[2], "report.html", against_pytorch[against_pytorch.index("--junit") + 1]]


@pytest.mark.parametrize(("worse", "code"), [(REFERENCE, 0), (WORSE, 3)])
def test_both_gates_of_the_workflow_pass_and_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worse, code):
    monkeypatch.chdir(tmp_path)
    write_record(tmp_path / "baseline.json", with_rows(*ROWS[:1], remeasured(ROWS[1], accuracy=REFERENCE)))
    write_record(tmp_path / "run.json", with_rows(*ROWS[:1], remeasured(ROWS[1], accuracy=worse)))
    _, against_pytorch, against_baseline = steps()
    limits = against_pytorch[against_pytorch.index("--max-miou-drop") : against_pytorch.index("--json")]
    for arguments in (["bench", "--from", "run.json", *limits], against_baseline):
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == code, result.output
        assert result.stderr.splitlines()[-1].startswith("FAIL: " if code else "PASS: ")
    assert (tmp_path / "gate.xml").is_file()


def test_the_recipe_of_the_page_is_one_and_its_table_has_every_field(tmp_path: Path):
    (tmp_path / "mine.toml").write_text(script("recipes.md", "toml", "name"), encoding="utf-8")
    assert load_recipe(tmp_path / "mine.toml").mean == (127.5, 127.5, 127.5)
    table = page("recipes.md").split("## Every field")[1].split("\n\n")[1]
    named = {name for line in table.splitlines()[2:] for name in re.findall(r"`\[*(\w+)\]*`", line.split("|")[1])}
    assert named == {field.name for field in fields(Recipe)} - {"path"}
