"""The plot of latency against image size."""

from __future__ import annotations

import re

from fcn_deploy.benchmark.record.measurement import Measurement
from fcn_deploy.benchmark.report.plots.sizes import size_plots
from tests.support.bench_records import RECORD, REFERENCE, ROWS, latency, remeasured, with_rows

RESIZED = tuple(
    Measurement((batch, height, width), latency((batch * 10, batch * 10, batch * 10)), accuracy=REFERENCE)
    for height, width in ((66, 94), (33, 47))
    for batch in (4, 1)
)


def test_sizes_go_to_the_right_with_a_picture_for_each_batch():
    record = with_rows(remeasured(ROWS[0], resized=RESIZED), ROWS[2])
    titles = [re.search("<title>(.*?)</title>", plot)[1] for plot in size_plots(record)]
    assert titles == ["ms an image, batch 1", "ms an image, batch 4", "mIoU, %"]
    assert "pytorch: 33x47 13.0, 66x94 13.0." in size_plots(record)[0]
    assert "pytorch: 33x47 10.8, 66x94 10.8." in size_plots(record)[1]  # (40 + 3) / 4
    assert size_plots(RECORD) == []
