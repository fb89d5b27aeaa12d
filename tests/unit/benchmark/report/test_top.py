"""The top of the page: the answer, three figures, a banner."""

from __future__ import annotations

from dataclasses import replace

from fcn_deploy.benchmark.report.html import render_html
from fcn_deploy.benchmark.report.top import top
from tests.support.bench_records import RECORD, REFERENCE, ROWS, counted, latency, remeasured, with_rows

BEFORE = counted(((90, 10), (0, 100)), ((80, 20), (10, 90)))
BETTER = counted(((91, 9), (0, 100)), ((82, 18), (10, 90)))


def shown(record) -> dict[str, tuple[str, str, tuple[str, ...]]]:
    return {figure.label: (figure.value, figure.unit, figure.notes) for figure in top(record).figures}


def test_the_three_figures_are_latency_speed_up_and_cost():
    rows = (remeasured(ROWS[0], accuracy=BEFORE), remeasured(ROWS[1], accuracy=BETTER))
    record = replace(with_rows(*rows), reference=replace(RECORD.reference, accuracy=BEFORE))
    found = shown(record)
    # 3 rounds of 20 ms and one of 50; pytorch takes 40
    assert found["Latency"] == ("20.0", "ms", ("median of a batch of 2 images", "p90 41.0 ms"))
    assert found["Speed-up"][:2] == ("2.00", "×")
    assert found["Speed-up"][2] == ("as fast as pytorch",)  # 4 rounds are too few for an interval
    # the images' labels are better than the reference's: no cost
    assert found["Gain"][0].startswith("+")
    assert found["Gain"][2][0] == "of mIoU"
    assert top(record).headline.text.startswith("onnxruntime")


def test_the_reference_itself_costs_nothing_and_the_harmed_row_is_named():
    found = shown(RECORD)  # onnxruntime loses 32 points
    assert found["Cost"] == ("0", "points", ("of mIoU: the others are compared with it",))
    assert found["Speed-up"] == ("-", "", ("the others are compared with it",))
    assert [line.label for line in top(RECORD).lines if line.label == "broken"] == ["broken"]
    assert top(RECORD).headline.text == "pytorch: each faster row loses more than 0.3 points of mIoU"
    # a table of the limits has the sentence already
    assert "broken" not in [line.label for line in top(RECORD, limits_shown=True).lines]


def test_without_label_maps_the_equal_labels_take_the_place_of_the_cost():
    rows = tuple(remeasured(row, accuracy=None) if row.status == "ok" else row for row in ROWS)
    record = replace(with_rows(*rows), reference=replace(RECORD.reference, accuracy=None))
    assert shown(record)["Equal labels"][:2] == ("99.999", "%")
    alone = replace(with_rows(remeasured(ROWS[1], accuracy=None, agreement=None)), reference=None)
    assert shown(alone)["Cost"] == ("-", "", ("nothing is known of it",))
    assert shown(alone)["Speed-up"] == ("-", "", ("PyTorch was not timed",))


def test_a_busy_machine_is_a_banner_and_said_once():
    page = render_html(replace(RECORD, other_cores=3.5))
    assert '<p class="banner" role="note">The machine was busy: other processes kept 3.5 of 4 cores busy.' in page
    assert page.count("kept 3.5 of 4 cores busy") == 1
    assert 'class="banner"' not in render_html(RECORD)


def test_where_no_row_is_named_there_are_no_figures():
    none = with_rows(*ROWS[2:])
    assert top(none).figures == ()
    assert "none" in top(none).headline.text


def test_an_interval_that_says_nothing_is_not_written_in_digits():
    rows = (
        remeasured(ROWS[0], latency=latency((1, 9000, 1, 9000, 1, 9000, 1, 9000)), accuracy=REFERENCE),
        remeasured(ROWS[1], latency=latency((9000, 1, 9000, 1, 9000, 1, 2, 1)), accuracy=REFERENCE),
    )
    record = replace(with_rows(*rows), rounds=(0,) * 8)
    notes = shown(record)["Speed-up"][2]
    assert notes[1:] == ("not known within a factor of 20",)
