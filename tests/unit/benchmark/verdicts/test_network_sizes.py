"""What other network sizes gain in time and lose in mIoU, each against the same runner at the first file's size."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fcn_deploy.benchmark.record import types as rec
from fcn_deploy.benchmark.report.answer import size_text
from fcn_deploy.benchmark.verdicts.network_sizes import size_answers
from tests.support.bench_records import RECORD, ROUNDS, counted, row, timed

FULL = counted(((2500, 0), (0, 2500)), ((2500, 0), (0, 2500)))
SLIGHTLY = counted(((2499, 1), (0, 2500)), ((2500, 0), (0, 2500)))
HARMED = counted(((2400, 100), (0, 2500)), ((2400, 100), (0, 2500)))


def file(label: str, size: str) -> rec.BenchmarkedModel:
    return replace(RECORD.model, label=label, card={"network_size": size})


def found(size: str, accuracy: object, own: str = "", sizes: tuple[tuple[int, int, int], ...] = ((33, 48, 2),)):
    rows = (
        replace(row("pytorch", timed(1, 37, 2), accuracy=FULL), file="m"),
        replace(row("onnxruntime", timed(1, 17, 2), accuracy=FULL), file="m"),
        replace(row("onnxruntime", timed(1, 7, 2), accuracy=accuracy), file="other"),
    )
    record = replace(
        RECORD, rounds=(0,) * ROUNDS, rows=rows, model=file("m", own), others=(file("other", size),),
        data=replace(RECORD.data, sizes=sizes),
    )  # fmt: skip
    return size_answers(record, 0.3)


def test_a_size_is_compared_with_the_same_runner_at_full_size():
    [half] = found("0.5", SLIGHTLY)
    assert (half.size, half.runner, half.than, half.verdict, half.enlarges) == (
        "0.5", "onnxruntime", "full size", "passed", False,
    )  # fmt: skip
    assert half.median_ms == pytest.approx(10, abs=0.1)
    assert half.speed_up.value == pytest.approx(2, abs=0.05)
    assert half.change.value == pytest.approx(-0.02, abs=0.001)
    text = size_text(half, 0.3)
    assert text.startswith("0.5 in onnxruntime: 10")
    assert "times as fast as full size (" in text
    assert text.endswith(": loses at most 0.3")


def test_a_loss_beyond_the_limit_and_an_enlargement_are_in_the_sentence():
    [harmed] = found("40x70", HARMED)
    assert (harmed.verdict, harmed.enlarges) == ("broken", True)
    assert size_text(harmed, 0.3).endswith(
        "loses more than 0.3; it enlarges the images, which shows the network nothing new"
    )


def test_files_of_one_size_are_no_answer_and_the_images_size_is_1():
    assert found("", SLIGHTLY) == ()
    [whole] = found("", SLIGHTLY, own="0.5")
    assert (whole.size, whole.than) == ("1", "0.5")
