"""The README is short, and what it quotes is on the pages."""

from __future__ import annotations

import re

from fcn_deploy.benchmark.report.sheets import fidelity_sheet, speed_sheet
from fcn_deploy.cli.main import cli
from tests.support import ROOT
from tests.support.bench_records import RECORD
from tests.support.pages import DOCS

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BENCH = (ROOT / "docs" / "bench.md").read_text(encoding="utf-8")


def test_the_readme_has_at_most_200_lines_and_a_page_300():
    assert len(TEXT.splitlines()) <= 200
    assert {page.name: lines for page in DOCS if (lines := len(page.read_text("utf-8").splitlines())) > 300} == {}


def test_the_first_40_lines_have_the_picture_the_comparison_and_what_to_type():
    top = "\n".join(TEXT.splitlines()[:40])
    assert "docs/images/overview.jpg" in top
    assert "| torch.onnx.export + trtexec | fcn-deploy |" in top
    assert "pip install" in top
    assert "fcn-deploy bench" in top


def test_the_quoted_output_is_that_of_the_page():
    (quoted,) = re.findall(r"^```\n(ship .*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    lines = [line.removesuffix(" ...").rstrip("─").rstrip() for line in quoted.splitlines()]
    assert len(lines) >= 8
    assert [line for line in lines if line not in BENCH] == []


def test_every_command_has_a_row():
    rows = re.findall(r"^\| `fcn-deploy ([a-z-]+)` \|[^|]*\|[^|]*\|$", TEXT, re.MULTILINE)
    assert sorted(rows) == sorted(cli.list_commands(None))


def test_the_tables_of_the_page_have_the_heads_of_today_and_each_is_explained():
    sheets = (speed_sheet(RECORD), fidelity_sheet(RECORD))
    for sheet in sheets:
        words = {word for column in sheet.columns for word in column.split()}
        quoted = [head for head in re.findall(r"\n(?:[A-Z]\w+:)?\n(.+\n.+)\n─", BENCH) if words <= set(head.split())]
        assert len(quoted) == 2, sheet.title
    explained = re.findall(r"^\| ([^|`]+) \|", BENCH.split("## The columns")[1].split("\n\n")[1], re.MULTILINE)
    named = {column.strip() for cell in explained for column in cell.split(",")} | {"runner", ""}
    units = re.compile(r",? (ms|%|points)$")
    assert [column for sheet in sheets for column in sheet.columns if units.sub("", column) not in named] == []
