"""The plot of each row's latencies."""

from __future__ import annotations

from dataclasses import replace

from fcn_deploy.benchmark.report.plots.latency import latency_plot
from tests.support.bench_records import RECORD, ROWS, latency, remeasured, with_rows


def test_rounds_beyond_the_axis_are_counted():
    times = (17,) * 199 + (170,)
    row = remeasured(ROWS[1], latency=latency(times))
    drawn = latency_plot(replace(with_rows(row), rounds=(0,) * 200))
    assert "1 round beyond, up to 173 →" in drawn
    assert "beyond" not in latency_plot(
        replace(with_rows(remeasured(row, latency=latency((17,) * 200))), rounds=(0,) * 200)
    )


def test_few_rounds_are_drawn_one_by_one_and_not_as_a_density():
    assert 'class="area"' not in latency_plot(RECORD)
    many = remeasured(ROWS[1], latency=latency(tuple(17 + index % 7 for index in range(40))))
    assert latency_plot(replace(with_rows(many), rounds=(0,) * 40)).count('class="area"') == 1
