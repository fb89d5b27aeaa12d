"""Which row to ship, how much faster, at what cost, and what is not known."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from fcn_deploy.benchmark.plain import to_plain
from fcn_deploy.benchmark.record import types as rec
from fcn_deploy.benchmark.record.measurement import Accuracy
from fcn_deploy.benchmark.verdicts.answer import BenchAnswer, answer
from tests.support.bench_records import AGREEMENT, RECORD, REFERENCE, ROUNDS, ROWS, WORSE, counted, row, timed

# 10,000 pixels of two images: one more is lost than in the reference, 0.005 points of mIoU
MANY = counted(((2500, 0), (0, 2500)), ((2500, 0), (0, 2500)))
SLIGHTLY = counted(((2499, 1), (0, 2500)), ((2500, 0), (0, 2500)))
HARMED = counted(((2400, 100), (0, 2500)), ((2400, 100), (0, 2500)))


def answered(*rows: rec.Row, **changes) -> BenchAnswer:
    changes = {"reference": rec.Reference("pytorch", MANY), **changes}
    return answer(replace(RECORD, rounds=(0,) * ROUNDS, rows=rows, **changes))


PYTORCH = row("pytorch", timed(1, 37, 2), accuracy=MANY)


def doubts(found: BenchAnswer) -> dict[str, str]:
    return {doubt.about: doubt.text for doubt in found.unknown}


def test_the_fastest_row_that_is_not_harmed_is_the_answer():
    quick, harmed = row("onnxruntime:int8", timed(1, 7, 2), accuracy=SLIGHTLY), row("openvino:int8", timed(0, 3, 0))
    found = answered(PYTORCH, row(accuracy=MANY), quick, replace(harmed, measurements=(harmed_by(harmed),)))
    assert (found.row, found.place, found.runner, found.judged) == ("onnxruntime:int8", 2, "onnxruntime:int8", True)
    assert found.median_ms == pytest.approx(10, abs=0.1)
    assert found.speed_up.value == pytest.approx(4, abs=0.1)
    assert 3.9 < found.speed_up.low < found.speed_up.value < found.speed_up.high < 4.1
    assert found.speed_up.than == "pytorch"
    assert found.cost.value == pytest.approx(-0.02, abs=0.001)
    assert found.worst_class.name == "road"
    assert [(other.row, other.speed_up.than) for other in found.harmed] == [("openvino:int8", "pytorch")]
    assert found.harmed[0].cost.value < -3
    assert found.harmed[0].proven


def harmed_by(made: rec.Row):
    return replace(made.own, accuracy=HARMED)


def test_the_speed_up_is_against_the_fastest_of_pytorchs_rows():
    compiled = row("pytorch:compile", timed(1, 17, 2), accuracy=MANY)
    found = answered(PYTORCH, compiled, row("onnxruntime", timed(1, 7, 2), accuracy=MANY))
    assert found.speed_up.than == "pytorch:compile"
    assert found.speed_up.value == pytest.approx(2, abs=0.1)


def test_a_reference_that_nothing_beats_is_the_answer_itself():
    found = answered(PYTORCH, row("onnxruntime", timed(1, 77, 2), accuracy=MANY))
    assert (found.row, found.is_reference, found.cost, found.speed_up) == ("pytorch", True, None, None)


def test_where_every_row_is_harmed_there_is_no_row_to_ship():
    found = answered(row("onnxruntime:int8", accuracy=HARMED), row("openvino:int8", timed(1, 7, 2), accuracy=HARMED))
    assert (found.row, found.place, found.file) == (None, None, None)
    assert [other.row for other in found.harmed] == ["openvino:int8", "onnxruntime:int8"]


def test_without_labels_the_fastest_is_named_and_not_called_unharmed():
    rows = (row("pytorch", timed(1, 37, 2)), row("onnxruntime:int8", agreement=AGREEMENT))
    data = replace(RECORD.data, labelled=0)
    found = answered(*rows, reference=rec.Reference("pytorch", None), data=data)
    assert (found.row, found.judged, found.cost) == ("onnxruntime:int8", False, None)
    assert found.agreed == AGREEMENT.overall
    assert doubts(found)["truth"] == "what it costs in mIoU: the images have no label maps"
    assert "truth" not in doubts(answered(PYTORCH))


def test_without_a_reference_the_label_maps_are_not_denied():
    """The table shows mIoU: what is missing is something to compare it with."""
    rows = (row(accuracy=WORSE), row("openvino", timed(1, 7, 2), accuracy=REFERENCE))
    found = answered(*rows, reference=None)
    assert doubts(found)["truth"] == "what it costs in mIoU: there is no reference (--reference names one)"
    assert doubts(found)["pytorch"].endswith("no row of PyTorch was timed (see --runners)")


def test_what_a_busy_machine_and_few_rounds_leave_open_is_named():
    found = doubts(answer(replace(RECORD, other_cores=2.4)))
    assert found["busy"].startswith("how fast: other processes kept 2.4 of 4 cores busy")
    assert found["rounds"] == "how far the times may be off: 4 rounds are too few (see --seconds)"
    assert found["absent"] == (
        "how onnxruntime:cuda, onnxruntime:tensorrt, tensorrt:int8 would have done: not timed here"
    )
    quiet = doubts(answered(PYTORCH, row(accuracy=MANY)))
    assert set(quiet) == set()


def test_unstable_times_and_ties_are_named():
    shaky = row("onnxruntime", timed(1, 17, 2, noise=0.8), accuracy=MANY)
    near = row("openvino", timed(1, 17.1, 2, noise=0.8), accuracy=MANY)
    found = doubts(answered(PYTORCH, shaky, near))
    assert found["unstable"].startswith("how fast exactly: the times of onnxruntime are unstable")
    assert found["tie"] == "which is fastest: openvino is not distinguished from it"
    steady = doubts(answered(PYTORCH, row(accuracy=MANY), row("openvino", timed(1, 7, 2), accuracy=MANY)))
    assert set(steady) == set()


def test_a_single_row_has_nothing_to_be_faster_than():
    assert doubts(answered(PYTORCH)) == {"alone": "whether anything is faster: no other row was timed"}


def test_too_few_images_to_exclude_a_loss_are_named():
    before = counted(*[((2500, 0), (0, 2500))] * 4)
    after = counted(*[((2500, 0), (0, 2500))] * 3, ((2472, 28), (0, 2500)))
    data = replace(RECORD.data, labelled=4)
    rows = (row("pytorch", timed(1, 37, 2), accuracy=before), row(accuracy=after))
    found = answered(*rows, reference=rec.Reference("pytorch", before), data=data)
    assert found.row == "onnxruntime"
    assert found.cost.low < -0.6 < -0.3 < found.cost.value
    assert doubts(found)["images"] == "whether it is unharmed: 4 images cannot exclude a loss of 0.6 points"


def test_a_larger_loss_that_may_be_none_is_not_judged():
    before = counted(*[((2500, 0), (0, 2500))] * 4)
    after = counted(*[((2500, 0), (0, 2500))] * 3, ((2400, 100), (0, 2500)))
    rows = (row("pytorch", timed(1, 37, 2), accuracy=before), row(accuracy=after))
    found = answered(*rows, reference=rec.Reference("pytorch", before))
    assert (found.row, [other.row for other in found.harmed]) == ("pytorch", ["onnxruntime"])
    assert found.harmed[0].cost.value < -0.3
    assert not found.harmed[0].proven


def test_an_accuracy_without_the_counts_of_each_image_has_a_cost_without_interval():
    plain = Accuracy(((90, 10), (0, 100)), ((0, 0), (0, 0)), 2)
    found = answered(
        row("pytorch", timed(1, 37, 2), accuracy=plain), row(accuracy=plain), reference=rec.Reference("pytorch", plain)
    )
    assert (found.row, found.cost.value, found.cost.low) == ("onnxruntime", 0, None)
    assert doubts(found)["images"] == "how the cost varies: the record has no counts of each image"


def test_json_holds_the_answer_and_reading_ignores_it():
    whole = to_plain(RECORD)
    assert list(whole)[:3] == ["schema", "kind", "answer"]
    assert whole["answer"]["row"] == "pytorch"
    assert whole["answer"]["harmed"][0]["row"] == "onnxruntime"
    json.dumps(whole, allow_nan=False)


def test_the_file_of_the_answer_is_the_rows():
    opened = rec.OpenedFile("m.int8.cpu.onnx", "fcn-deploy quantize m.onnx -o m.int8.cpu.onnx")
    found = answered(PYTORCH, replace(row(accuracy=MANY), opened=opened), ROWS[2])
    assert found.file == opened
