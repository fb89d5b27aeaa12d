"""The bars of the medians."""

from __future__ import annotations

import re

from fcn_deploy.benchmark.report.plots.medians import medians_plot
from tests.support.bench_records import RECORD, ROWS, with_rows


def test_a_bar_is_as_long_as_its_median_and_its_line_ends_at_p90():
    drawn = medians_plot(RECORD)
    # 40 and 20 ms for each batch of 2: the second bar is half as long
    first, second = map(float, re.findall(r'<rect x="[\d.]+" y="[\d.]+" width="([\d.]+)"', drawn))
    assert first == 2 * second
    assert "Median and p90 of 2 images, ms" in drawn
    assert "onnxruntime: median 20.0 ms, p90 41.0 ms" in drawn  # 20, 20, 20, 50: 0.7 of the way from 20 to 50


def test_rows_without_times_have_no_bar():
    assert medians_plot(RECORD).count("<rect") == 2
    assert medians_plot(with_rows(*ROWS[2:])) is None
