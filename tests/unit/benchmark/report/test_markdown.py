"""A record as Markdown."""

from __future__ import annotations

from dataclasses import replace

from fcn_deploy.benchmark.gate.checks import GateCheck
from fcn_deploy.benchmark.gate.result import gate_result
from fcn_deploy.benchmark.report.markdown import escaped, render_markdown
from fcn_deploy.benchmark.report.sheets import Sheet
from tests.support.bench_records import RECORD, ROWS, with_rows


def test_markdown_has_the_tables_with_as_many_cells_in_each_line():
    text = render_markdown(RECORD, (Sheet("More", ("runner", "x"), (("a", "1"),)),))
    assert text.startswith(
        "## ship: pytorch: each faster row loses more than 0.3 points of mIoU\n\n- **speed**: 40 ms\n"
    )
    assert "\n\nm.onnx: fcn8s, 2 classes, on 2 images of list.txt" in text
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert all(len({line.count("|") for line in table}) == 1 for table in tables)
    assert any(line.startswith("| onnxruntime | unstable | 20.0 | 2.00 | 41.0 |") for table in tables for line in table)
    assert "### More\n\n| runner | x |\n| :-- | --: |\n| a | 1 |" in text


def test_the_result_of_the_limits_comes_first_with_a_table_of_them():
    gate = gate_result(
        RECORD,
        [
            GateCheck("onnxruntime", "--max-miou-drop 0.3", "broken", "mean IoU fell by 1 | 2 points"),
            GateCheck("pytorch", "--max-miou-drop 0.3", "not judged", "busy"),
        ],
        baseline="2026-01-02",
    )
    text = render_markdown(RECORD, gate=gate)
    first, _, rest = text.partition("\n")
    assert first.startswith("# FAIL: broken against the baseline of 2026-01-02: onnxruntime: mean IoU fell by 1 ")
    assert rest.startswith("\n## ship: ")
    assert "| onnxruntime | broken | --max-miou-drop 0.3 | mean IoU fell by 1 \\| 2 points |" in rest
    assert render_markdown(RECORD, gate=replace(gate, checks=gate.checks[1:], errors=())).startswith("# PASS: ")


def test_markup_in_names_is_text():
    name = "a|b<script>*c*`d`[e](f)\n# g & \\"
    assert escaped(name) == r"a\|b&lt;script&gt;\*c\*\`d\`\[e\](f) \# g &amp; \\"
    text = render_markdown(with_rows(replace(ROWS[2], runner=name, reason=name)))
    assert "<script>" not in text
    assert "a|b" not in text
