"""The audit's table, totals and findings as text, from rows made by hand."""

from __future__ import annotations

import io
import json
from pathlib import Path

from rich.console import Console

from fcn_deploy.audit.audit import Audit, AuditRow
from fcn_deploy.audit.finding import Finding
from fcn_deploy.audit.text import finding_line, summary, table, totals_line
from fcn_deploy.graph.sizes import ImageSize

ROWS = (
    AuditRow("backbone.stage1.conv1", "Conv", "FP16", (1, 64, 360, 480), 4_600_000_000, "first layer"),
    AuditRow("backbone.stage1.conv2", "Conv", "INT8", (1, 64, 360, 480), 69_060_000_000, ""),
    AuditRow("upscore8", "ConvTranspose", "FP32", (1, 21, 360, 480), 540_000_000, "weights are not quantised"),
)
FINDING = Finding("zero-point", "error", ("a", "b", "c", "d", "e"), "has a zero point other than 0", "set it to 0")


def _audit(rows=ROWS, findings=(), size=(1, 360, 480)):
    return Audit(Path("m.onnx"), ImageSize(*size), rows, findings)


def _text(audit, top=None):
    console = Console(file=io.StringIO(), width=100)
    console.print(table(audit, top))
    return console.file.getvalue()


def test_totals_name_each_type_the_amount_and_the_size():
    assert totals_line(_audit()) == "INT8 93.1 %, FP16 6.2 %, FP32 0.7 % of 74.2 GMAC at 360x480"


def test_shares_add_up_to_100_where_rounding_each_would_not():
    rows = tuple(AuditRow(kind, "Conv", kind, (1,), 1, "") for kind in ("INT8", "FP16", "FP32"))
    line = totals_line(_audit(rows, size=(2, 33, 47)))
    assert line == "INT8 33.4 %, FP16 33.3 %, FP32 33.3 % of 3 MAC at 2x33x47"


def test_a_node_of_unknown_size_is_reported_as_not_counted():
    unknown = AuditRow("odd", "Conv", "FP32", None, None, "")
    line = totals_line(_audit((*ROWS, unknown)))
    assert line.endswith("of 74.2 GMAC at 360x480; not counted: odd: the graph lacks their sizes")
    assert "odd" in _text(_audit((*ROWS, unknown)))


def test_the_table_shows_each_node_in_order_with_its_share_and_reason():
    lines = _text(_audit()).splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[2].split() == [ROWS[0].name, "Conv", "FP16", "1x64x360x480", "4.6000", "6.20", "first", "layer"]
    assert lines[4].split()[-4:] == ["weights", "are", "not", "quantised"]


def test_the_largest_few_come_with_a_row_for_the_rest():
    lines = _text(_audit(), top=1).splitlines()
    assert lines[2].split()[:2] == ["backbone.stage1.conv2", "Conv"]
    assert lines[3].split() == ["2", "others", "5.1400", "6.93"]


def test_a_finding_names_three_nodes_and_counts_the_others():
    assert finding_line(FINDING) == "a, b, c and 2 more: has a zero point other than 0; set it to 0"
    assert summary(_audit(findings=(FINDING,)))[1:] == [f"error: {finding_line(FINDING)}"]


def test_the_json_holds_every_row_and_every_name():
    plain = json.loads(json.dumps(_audit(findings=(FINDING,)).to_plain()))
    assert plain["totals"] == {"INT8": 69_060_000_000, "FP16": 4_600_000_000, "FP32": 540_000_000}
    assert sum(row["macs"] for row in plain["rows"]) == plain["macs"] == 74_200_000_000
    assert plain["findings"][0]["names"] == ["a", "b", "c", "d", "e"]
    assert plain["rejected"] is True
    assert plain["size"] == {"batch": 1, "height": 360, "width": 480}
