"""Words from figures: what bounds a row, how steady it was, what precision ran, what it gains."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from fcn_deploy.benchmark.record import types as rec
from fcn_deploy.benchmark.record.measurement import Latency, Measurement, Saturated
from fcn_deploy.benchmark.verdicts.verdicts import verdicts
from tests.support.bench_records import AGREEMENT, MS, RECORD, REFERENCE, ROUNDS, ROWS, WORSE, row, timed


def said(about: str, *rows: rec.Row, **changes) -> list[str]:
    record = replace(RECORD, rounds=(0,) * ROUNDS, rows=rows, **changes)
    return [verdict.text for verdict in verdicts(record) if verdict.about == about]


@pytest.mark.parametrize(
    ("latency", "found"),
    [
        (timed(1, 17, 2), "bound by compute: 85 % of 20 ms"),
        (timed(8, 1, 1), "bound by upload: 80 % of 10 ms"),
        (timed(1, 1, 6), "bound by download: 75 % of 8 ms"),
        (timed(4, 4, 2), "bound by no single step: upload 40 %, compute 40 %, download 20 % of 10 ms"),
        (timed(0.1, 0.8, 0.1, busy=0.3), "bound by launch: the device works for 0.3 of 1 ms"),
        (timed(0.1, 0.8, 0.1, busy=0.7), "bound by compute: 80 % of 1 ms"),
    ],
)
def test_what_takes_most_of_the_time_is_named(latency, found):
    (text,) = said("bottleneck", row(latency=latency))
    assert text == found


def test_a_time_that_does_not_grow_with_the_pixels_is_launching():
    def sized(small: float, large: float) -> tuple[Measurement, ...]:
        """10 times the pixels."""
        return tuple(Measurement((1, 32, width), timed(0, ms, 0, noise=0)) for width, ms in ((32, small), (320, large)))

    # 2.0 + 0.1 a unit: 2.1 at 1, 3.0 at 10
    (text,) = said("bottleneck", row(resized=sized(2.1, 3.0)))
    assert text == "bound by launch in its smallest cell: about 2 of 2.1 ms do not depend on the pixels"
    (text,) = said("bottleneck", row(resized=sized(2.1, 20)))
    assert text.startswith("bound by compute")
    (text,) = said("bottleneck", row(resized=sized(2.1, 3.0)[:1]))
    assert text.startswith("bound by compute")


def test_sizes_whose_medians_are_hardly_known_say_nothing_of_launching():
    small, large = (timed(0, ms, 0, noise=0) for ms in (2.1, 3.0))
    shaky = replace(small, execute_ns=(1 * MS,) * (ROUNDS // 2) + (9 * MS,) * (ROUNDS - ROUNDS // 2))
    (text,) = said("bottleneck", row(resized=(Measurement((1, 32, 32), shaky), Measurement((1, 32, 320), large))))
    assert text.startswith("bound by compute")


def test_seconds_are_written_in_full():
    (text,) = said("bottleneck", row(latency=timed(1, 1213, 2, noise=0)))
    assert text == "bound by compute: 100 % of 1,216 ms"


def test_streaming_that_gains_is_reported():
    # one at a time: 2 images each 20 ms, 100 a second
    streamed = Saturated(images=150, seconds=1.0, streamed=True)
    (text,) = said("bottleneck", row(saturated=streamed))
    assert text.endswith("; streamed, 1.5 times the images per second: copies hide behind compute")
    (text,) = said("bottleneck", row(saturated=replace(streamed, streamed=False)))
    assert "streamed" not in text


def test_a_steady_row_and_an_unsteady_one_are_distinguished():
    (steady,) = said("variance", row())
    (unsteady,) = said("variance", row(latency=timed(1, 17, 2, noise=0.5)))
    assert steady.startswith("steady: the median is known to ± 0.")
    assert unsteady.startswith("unsteady: the median is known to ± ")


def test_what_the_builder_chose_is_reported_and_that_it_is_not_what_was_asked_for():
    shares = {"FP32": 0.8, "INT8": 0.2}
    engine = replace(ROWS[4], built=replace(ROWS[4].built, shares=shares))
    (text,) = said("precision", engine)
    expected = "multiply-adds by the builder's own list: 80.0 % FP32, 20.0 % INT8, though INT8 was asked for"
    assert text == expected
    (text,) = said("types", ROWS[4])
    assert text == "multiply-adds by the builder's own list: 96.4 % INT8, 3.6 % FP32"


def test_fp16_on_an_x86_cpu_is_said_to_have_run_in_fp32():
    def texts(system: str, name: str = "onnxruntime:fp16") -> list[str]:
        return said("precision", row(name), environment=RECORD.environment | {"system": system})

    (text,) = texts("Linux 6.1 x86_64")
    assert text.startswith("computed in FP32: ONNX Runtime has no FP16 kernels for this CPU")
    assert texts("Darwin 24 arm64") == []
    assert texts("Linux 6.1 x86_64", "onnxruntime:cuda:fp16") == []


def test_the_types_in_a_file_are_not_called_what_ran():
    made = rec.Built("onnx", 1000, 1.0, {"INT8": 0.973, "FP32": 0.027})
    assert said("types", row("onnxruntime:int8", built=made)) == [
        "types in the file, of the multiply-adds: 97.3 % INT8, 2.7 % FP32",
        "in which types it computed is not known: ONNX Runtime does not say",
    ]
    listed = ("layers that multiply: 13 in INT8, 6 in BF16",)
    computed = said("types", row("openvino:int8", built=made, notes=listed))[1]
    assert computed == "of the layers that multiply it computed 13 in INT8, 6 in BF16"


def test_pytorch_computes_in_fp32_and_its_convolutions_in_tf32_where_that_is_allowed():
    allowed = RECORD.environment | {"torch": {"cudnn_tf32": True}}
    assert said("precision", row("pytorch"), environment=allowed) == ["computed in FP32"]
    assert said("precision", row("pytorch:cuda"), environment=allowed) == [
        "computed in FP32, convolutions in TF32 (cuDNN)"
    ]
    assert said("precision", row("pytorch:cuda:fp16"), environment=allowed) == ["computed in FP16"]
    assert said("precision", row("pytorch:compile:bf16"), environment=allowed) == ["computed in BF16"]


def test_isolated_runners_took_turns_and_are_compared_round_by_round():
    """A machine twice as slow from the middle on: 5 % less time shows in the rounds and drowns in the two series."""
    machine = np.where(np.arange(ROUNDS) < ROUNDS // 2, 1.0, 2.0)
    plain, quick = (
        Latency((0,) * ROUNDS, tuple(int(ms * MS * slow) for slow in machine), (0,) * ROUNDS, ()) for ms in (20, 19)
    )
    settings = replace(RECORD.settings, isolated=True)
    rows = (row(latency=plain, accuracy=REFERENCE), row("onnxruntime:int8", quick, accuracy=REFERENCE))
    (text,) = said("payoff", *rows, settings=settings)
    assert text.startswith("onnxruntime:int8 is 1.05 times as fast as onnxruntime (1.05 to 1.05)")


def test_a_precision_is_so_many_times_as_fast_for_so_many_points():
    plain = row(accuracy=REFERENCE)
    (text,) = said("payoff", plain, row("onnxruntime:int8", timed(1, 7, 2), accuracy=WORSE))
    assert text.startswith("onnxruntime:int8 is 2.0")
    assert " times as fast as onnxruntime (" in text
    assert text.endswith("), -32.12 points of mIoU")
    (text,) = said("payoff", plain, row("onnxruntime:fp16", timed(1, 27, 2), accuracy=REFERENCE))
    assert text.startswith("onnxruntime:fp16 is slower: 0.67 times as fast as onnxruntime")
    assert text.endswith("), +0.00 points of mIoU")


def test_a_difference_that_chance_may_have_made_is_called_so_whatever_its_size():
    noisy = [row(name, timed(1, ms, 2, noise=1.5)) for name, ms in (("onnxruntime", 17), ("onnxruntime:int8", 9))]
    ends = r"\(\d\.\d\d to \d\.\d\d\)"
    for interval, (text,) in (
        (r"\(not known within a factor of 20\)", said("payoff", *noisy)),
        (ends, said("payoff", row(), row("onnxruntime:fp16", timed(1, 17.01, 2)))),
    ):
        assert re.fullmatch(
            rf"onnxruntime:\w+ was \d\.\d\d times as fast as onnxruntime {interval}; chance may explain the "
            r"difference in speed",
            text,
        ), text


def test_no_verdict_says_whether_something_is_worth_it():
    rows = [row("onnxruntime:int8", timed(1, ms, 2, noise=noise)) for ms in (3, 17, 40) for noise in (0.01, 1.5)]
    texts = [text for each in rows for text in said("payoff", row(), each)]
    assert len(texts) == 6
    assert not [text for text in texts if re.search("worth|pay", text)]


def test_without_truth_the_labels_that_agree_are_the_price():
    int8 = row("onnxruntime:int8", timed(1, 7, 2), agreement=AGREEMENT)
    (text,) = said("payoff", row(), int8, reference=rec.Reference("pytorch", None))
    assert text.endswith(", 99.99 % of the labels as PyTorch's")


def test_a_row_of_another_file_is_compared_with_the_same_runner_on_the_reference():
    models = {"model": replace(RECORD.model, label="a"), "others": (replace(RECORD.model, label="b"),)}
    rows = (
        row("pytorch", timed(1, 37, 2), accuracy=REFERENCE, file="a"),
        row("onnxruntime", accuracy=REFERENCE, file="a"),
        row("onnxruntime", timed(1, 7, 2), accuracy=REFERENCE, file="b"),
    )
    (text,) = said("payoff", *rows, reference=rec.Reference("pytorch", REFERENCE, "a"), **models)
    assert text.startswith("b onnxruntime is 2.0")
    assert "times as fast as a onnxruntime" in text


def test_engines_alone_are_compared_with_the_fp16_one():
    (text,) = said("payoff", row("tensorrt:fp16"), row("tensorrt:int8", timed(1, 7, 2)))
    assert text.startswith("tensorrt:int8 is 2.0")
    assert "as fast as tensorrt:fp16" in text


def test_too_few_rounds_settle_nothing():
    record = replace(RECORD, rows=(ROWS[0], ROWS[1], replace(ROWS[1], runner="onnxruntime:int8")))
    (text,) = [verdict.text for verdict in verdicts(record) if verdict.about == "payoff"]
    assert text.startswith("onnxruntime:int8 was 1.00 times as fast as onnxruntime")
    assert text.endswith("; the rounds are too few to say whether by chance")


def test_a_runner_of_a_later_version_does_not_keep_a_record_from_being_shown():
    assert said("bottleneck", row("warp:drive")) == ["bound by compute: 85 % of 20 ms"]
