"""The number of streams that each row of a benchmark holds."""

from __future__ import annotations

import numpy as np

from fcn_deploy.benchmark.record.measurement import Saturated, StreamTest
from fcn_deploy.benchmark.record.streams import p99_ms
from fcn_deploy.benchmark.row_runs import RowRun
from fcn_deploy.benchmark.runner_specs import parse_spec
from fcn_deploy.benchmark.timing.rows import measure_streams
from fcn_deploy.system.progress import SILENT
from tests.support.scripted_runners import Scripted

IMAGE = np.zeros((1, 33, 47, 3), np.uint8)
TEST = StreamTest(8, 30.0, 0.05)


def row(name="onnxruntime"):
    return RowRun(parse_spec(name), file="m.onnx")


def test_a_row_keeps_every_number_of_streams_that_was_tried():
    run = row()
    run.keep(None, saturated=Saturated(images=100, seconds=1.0))
    # 10 ms an image: 100 images/s are 3 streams of 30
    measure_streams([(run, Scripted("a", [10]))], [IMAGE], TEST, SILENT)
    assert [load.streams for load in run.found[None].loads] == [3, 4]
    assert p99_ms(run.found[None].loads[0]) <= 50 < p99_ms(run.found[None].loads[1])


def test_a_row_that_fails_says_under_what_and_the_others_go_on():
    broken, fine, gone = row(), row("openvino"), row()
    gone.fail("earlier")
    runners = [Scripted("broken", [10], fail_at=2), Scripted("fine", [10]), Scripted("gone", [10])]
    measure_streams(list(zip([broken, fine, gone], runners, strict=True)), [IMAGE], TEST, SILENT)
    assert broken.reason == "with 8 streams or fewer: broken ran out of memory"
    assert fine.found[None].loads
    assert (gone.reason, runners[2].calls) == ("earlier", 0)


def test_of_several_sizes_the_commonest_arrives():
    runner = Scripted("a", [10])
    measure_streams([(row(), runner)], [IMAGE[:, ::2], IMAGE, IMAGE], TEST, SILENT)
    assert set(runner.shapes) == {IMAGE.shape}
