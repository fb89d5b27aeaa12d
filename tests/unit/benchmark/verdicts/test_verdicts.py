"""Words from figures: what bounds a row, how steady it was, what precision ran, which is worth it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fcn_deploy.benchmark.record import types as rec
from fcn_deploy.benchmark.record.measurement import Latency, Measurement, Saturated, StepTimes
from fcn_deploy.benchmark.verdicts.verdicts import verdicts
from tests.support.bench_records import AGREEMENT, MS, RECORD, REFERENCE, ROWS, WORSE, bench_row

ROUNDS = 40


def timed(upload: float, execute: float, download: float, *, noise: float = 0.01, busy: float | None = None):
    """Milliseconds of the steps, `noise` on the execution; `busy`: what the device says it worked."""
    normal = np.random.default_rng(int(7 * execute)).standard_normal(ROUNDS)
    factors = 1 + noise * (normal - np.median(normal))
    columns = (np.full(ROUNDS, upload), execute * factors, np.full(ROUNDS, download))
    steps = [tuple(int(ms * MS) for ms in column) for column in columns]
    device = None if busy is None else StepTimes((0,) * ROUNDS, (int(busy * MS),) * ROUNDS, (0,) * ROUNDS)
    return Latency(*steps, (), device)


def row(name: str = "onnxruntime", latency=None, **changes) -> rec.Row:
    return bench_row(name, latency=latency or timed(1, 17, 2), **changes)


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
    (text,) = said("precision", ROWS[4])
    assert text == "multiply-adds by the builder's own list: 96.4 % INT8, 3.6 % FP32"


def test_fp16_on_an_x86_cpu_is_said_to_have_run_in_fp32():
    def texts(system: str, name: str = "onnxruntime:fp16") -> list[str]:
        return said("precision", row(name), environment=RECORD.environment | {"system": system})

    (text,) = texts("Linux 6.1 x86_64")
    assert text.startswith("computed in FP32: ONNX Runtime has no FP16 kernels for this CPU")
    assert texts("Darwin 24 arm64") == []
    assert texts("Linux 6.1 x86_64", "onnxruntime:cuda:fp16") == []


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
    (text, _) = said("choice", *rows, settings=settings)
    assert text.startswith("onnxruntime:int8 is worth it: 1.05 times as fast as onnxruntime (1.05 to 1.05)")


def test_a_precision_is_worth_it_if_it_is_faster_and_slower_or_unknown_if_not():
    plain = row(accuracy=REFERENCE)
    half = row("onnxruntime:int8", timed(1, 7, 2), accuracy=REFERENCE)
    (text, _) = said("choice", plain, half)
    assert text.startswith("onnxruntime:int8 is worth it: 2.0")
    assert " times as fast as onnxruntime (" in text
    assert text.endswith(", +0.00 points of mIoU")
    (text, _) = said("choice", plain, row("onnxruntime:fp16", timed(1, 27, 2), accuracy=REFERENCE))
    assert text.startswith("onnxruntime:fp16 is slower here: 0.67 times as fast")
    (text, _) = said("choice", plain, row("onnxruntime:fp16", timed(1, 17.01, 2), accuracy=REFERENCE))
    assert text.startswith("onnxruntime:fp16 is not known to be faster here: 1.00 times as fast")


def test_speed_that_cost_points_is_not_called_a_gain():
    (text, choice) = said("choice", row(accuracy=REFERENCE), row("onnxruntime:int8", timed(1, 7, 2), accuracy=WORSE))
    assert text.startswith("onnxruntime:int8 is faster and costs accuracy: 2.0")
    assert text.endswith(", -32.12 points of mIoU")
    assert choice == "fastest within 0.3 points of PyTorch's mIoU: onnxruntime"


def test_the_headline_is_against_the_fastest_of_pytorchs_rows_and_names_it():
    rows = (
        row("pytorch", timed(1, 37, 2), accuracy=REFERENCE),
        row("pytorch:compile", timed(1, 27, 2), accuracy=REFERENCE),
        row("onnxruntime", timed(1, 12, 2), accuracy=REFERENCE),
    )
    (choice,) = said("choice", *rows)
    start, _, interval = choice.partition(" (")
    assert start.startswith("fastest within 0.3 points of PyTorch's mIoU: onnxruntime, 2.0")
    assert start.endswith(" times as fast as PyTorch's fastest row, pytorch:compile")
    low, high = (float(end) for end in interval.rstrip(")").split(" to "))
    assert 1.98 < low <= 2 <= high < 2.02
    (choice,) = said("choice", *rows, reference=None)
    assert choice.startswith("fastest here: onnxruntime, 2.0")
    assert "PyTorch's fastest row, pytorch:compile" in choice
    assert said("choice", *rows[:2]) == ["fastest within 0.3 points of PyTorch's mIoU: pytorch:compile"]


def test_without_truth_the_labels_that_agree_are_the_price():
    int8 = row("onnxruntime:int8", timed(1, 7, 2), agreement=AGREEMENT)
    (text, choice) = said("choice", row(), int8, reference=rec.Reference("pytorch", None))
    assert text.endswith(", 99.99 % of the labels as PyTorch's")
    assert choice.startswith("fastest here: onnxruntime:int8; without a ground truth")


def test_without_a_reference_the_truth_is_not_denied():
    """D5: the table shows mIoU, and there was a ground truth."""
    rows = (row(accuracy=WORSE), row("openvino", timed(1, 7, 2), accuracy=REFERENCE))
    assert said("choice", *rows, reference=None) == [
        "fastest here: openvino; without a reference nothing is known of what it costs in mIoU (see --reference)"
    ]
    (choice,) = said("choice", row(), row("openvino", timed(1, 7, 2)), reference=None)
    assert choice.endswith("without a ground truth and without a reference nothing is known of its accuracy")


def test_a_row_of_another_file_is_compared_with_the_same_runner_on_the_reference():
    models = {"model": replace(RECORD.model, label="a"), "others": (replace(RECORD.model, label="b"),)}
    rows = (
        row("pytorch", timed(1, 37, 2), accuracy=REFERENCE, file="a"),
        row("onnxruntime", accuracy=REFERENCE, file="a"),
        row("onnxruntime", timed(1, 7, 2), accuracy=REFERENCE, file="b"),
    )
    text, choice = said("choice", *rows, reference=rec.Reference("pytorch", REFERENCE, "a"), **models)
    assert text.startswith("b onnxruntime is worth it: 2.0")
    assert "times as fast as a onnxruntime" in text
    assert choice.startswith("fastest within 0.3 points of a pytorch's mIoU: b onnxruntime, 4.0")
    assert "PyTorch's fastest row, a pytorch" in choice


def test_engines_alone_are_compared_with_the_fp16_one():
    (text, choice) = said("choice", row("tensorrt:fp16"), row("tensorrt:int8", timed(1, 7, 2)))
    assert choice == "fastest within 0.3 points of PyTorch's mIoU: none that was timed"
    assert text.startswith("tensorrt:int8 is worth it: 2.0")
    assert "as fast as tensorrt:fp16" in text


def test_too_few_rounds_settle_nothing():
    record = replace(RECORD, rows=(ROWS[0], ROWS[1], replace(ROWS[1], runner="onnxruntime:int8")))
    texts = [verdict.text for verdict in verdicts(record) if verdict.about == "choice"]
    assert texts[0].startswith(
        "onnxruntime:int8 was timed for too few rounds to tell whether it is worth it: 1.00 times"
    )


def test_a_runner_of_a_later_version_does_not_keep_a_record_from_being_shown():
    assert said("bottleneck", row("warp:drive")) == ["bound by compute: 85 % of 20 ms"]
