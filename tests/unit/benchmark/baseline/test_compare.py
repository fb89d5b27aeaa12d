"""A record held against a baseline: what is compared, what is refused, what breaks a limit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fcn_deploy.benchmark.baseline.compare import compare_records
from fcn_deploy.benchmark.baseline.limits import Limits
from fcn_deploy.benchmark.record import types as rec
from fcn_deploy.benchmark.record.measurement import Accuracy, Latency, Measurement
from fcn_deploy.errors import RecordError
from fcn_deploy.metrics.budget import AccuracyBudget
from tests.support.bench_records import MS, RECORD, ROWS, WORSE, bench_row, remeasured

ROUNDS = 40


def noisy(execute_ms: float, *, upload_ms: float = 1) -> Latency:
    """1 % of noise on the execution; 2 ms down."""
    noise = np.random.default_rng(int(10 * execute_ms + upload_ms)).standard_normal(ROUNDS)
    execute = execute_ms * MS * (1 + 0.01 * (noise - np.median(noise)))
    return Latency((int(upload_ms * MS),) * ROUNDS, tuple(int(ns) for ns in execute), (2 * MS,) * ROUNDS, ())


def record(*rows: rec.Row, **changes) -> rec.Record:
    return replace(RECORD, rounds=(0,) * ROUNDS, rows=rows, **changes)


def row(name: str = "onnxruntime", ms: float = 17, accuracy: Accuracy | None = None, **changes) -> rec.Row:
    return bench_row(name, latency=noisy(ms), accuracy=accuracy, **changes)


def limits_of(miou_drop: float | None = None, slowdown: float | None = None) -> Limits:
    return Limits(AccuracyBudget(miou_drop), slowdown)


def broken(baseline: rec.Record, now: rec.Record, *, relative: bool = False, **limits) -> list[str]:
    found = compare_records(baseline, now, relative=relative, limits=limits_of(**limits))
    assert found.worse == bool(found.broken)
    return list(found.broken)


def images(*lost: int) -> Accuracy:
    """One image for each number: 100 pixels of class 0 and of class 1, so many of class 0 taken for class 1."""
    each = tuple(((100 - count, count), (0, 100)) for count in lost)
    overall = tuple(tuple(int(number) for number in line) for line in np.sum(each, axis=0))
    return Accuracy(overall, ((0, 0), (0, 0)), len(lost), each)


def test_a_row_that_takes_longer_than_allowed_is_named_with_the_step_and_the_interval():
    now = record(row("pytorch", 37), remeasured(row(), latency=noisy(17, upload_ms=5)))
    (line,) = broken(record(row("pytorch", 37), row()), now, slowdown=0.05)
    # 20 ms then; 4 of upload more now
    assert line.startswith("onnxruntime: 20.0 %")
    assert "% slower (20 ms then, 24 now, 95 % interval: 19." in line
    assert line.endswith("most of it in upload; at most 5 % is allowed")


def test_within_the_limit_a_slower_row_passes_and_is_still_called_slower():
    baseline, now = record(row()), record(row(ms=17.6))
    assert broken(baseline, now, slowdown=0.05) == []
    assert compare_records(baseline, now).rows[0].speed[0].ratio.longer
    assert broken(baseline, record(row(ms=25))) == []  # no limit was set


def test_with_too_few_rounds_nothing_is_judged():
    short = replace(RECORD, rows=(ROWS[1],))
    slow = remeasured(ROWS[1], latency=replace(ROWS[0].own.latency, execute_ns=(99 * MS,) * 4))
    assert broken(short, replace(RECORD, rows=(slow,)), slowdown=0.05) == []
    comparison = compare_records(short, replace(RECORD, rows=(slow,)), limits=limits_of(slowdown=0.05))
    assert comparison.rows[0].speed[0].ratio.low is None
    (line,) = comparison.unjudged
    assert line.startswith("onnxruntime: --max-slowdown: fewer than 8 rounds")


def test_shares_of_the_reference_tell_a_slower_machine_from_a_slower_row():
    baseline = record(row("pytorch", 37), row())
    machine, slower = record(row("pytorch", 47), row(ms=22)), record(row("pytorch", 47), row(ms=32))
    assert len(broken(baseline, machine, slowdown=0.05)) == 2
    assert broken(baseline, machine, slowdown=0.05, relative=True) == []
    (line,) = broken(baseline, slower, slowdown=0.05, relative=True)
    # 35 / 50 against 20 / 40
    assert line.startswith(("onnxruntime: 39.", "onnxruntime: 40."))
    assert "slower against pytorch" in line
    with pytest.raises(RecordError, match="this run has no timed row of PyTorch"):
        broken(baseline, record(row()), relative=True)


def test_cells_are_compared_at_their_shape_and_those_that_are_gone_are_named():
    def cell(width: int, ms: float) -> Measurement:
        return Measurement((4, 33, width), noisy(ms))

    baseline = record(row(resized=(cell(47, 50), cell(95, 100))))
    now = record(row(resized=(cell(47, 60),)))
    (line,) = broken(baseline, now, slowdown=0.1)
    assert line.startswith("onnxruntime: at 4x33x47: 18.9 %")  # 63 / 53
    assert compare_records(baseline, now).rows[0].reason == "timed in the baseline and not now: 4x33x95"


def test_images_of_many_sizes_are_compared_size_by_size():
    """Rounds of a size eight times as slow, in another order: each round counts as a share of its size's median."""
    quick, slow = noisy(10).execute_ns, noisy(80).execute_ns

    def mixed(rounds: tuple[int, ...], factor: float) -> rec.Record:
        times = tuple(int(factor * (quick, slow)[kind][index]) for index, kind in enumerate(rounds))
        latency = Latency((0,) * ROUNDS, times, (0,) * ROUNDS, ())
        return replace(
            record(bench_row("onnxruntime", latency=latency)), rounds=rounds, shapes=((1, 33, 47), (1, 90, 120))
        )

    (change,) = compare_records(mixed((0,) * 20 + (1,) * 20, 1), mixed((1, 0) * 20, 1.1)).rows[0].speed
    assert change.ratio.value == pytest.approx(1.1, abs=0.01)  # 1 % of noise over 40 rounds
    assert change.ratio.high - change.ratio.low < 0.05  # raw times have medians anywhere between 10 and 80 ms


def test_a_drop_of_miou_is_judged_by_the_interval_over_paired_images():
    before, after = images(*[5, 10, 15, 20, 10, 5]), images(*[9, 15, 19, 26, 13, 10])
    (line,) = broken(record(row(accuracy=before)), record(row(accuracy=after)), miou_drop=0.3)
    # (535 / 600 + 600 / 665) / 2 and (508 / 600 + 600 / 692) / 2
    assert line.startswith("onnxruntime: mean IoU fell by 4.01 points, 89.70 to 85.69 (95 % interval over 6 images: 3.")
    assert broken(record(row(accuracy=before)), record(row(accuracy=after)), miou_drop=4.1) == []


def test_a_drop_that_depends_on_one_image_is_not_distinguished_from_chance():
    before, after = images(*[10] * 6), images(9, 9, 9, 9, 9, 40)
    change = compare_records(record(row(accuracy=before)), record(row(accuracy=after))).rows[0].accuracy
    assert change.change.value < -1
    assert change.change.high > 0
    assert broken(record(row(accuracy=before)), record(row(accuracy=after)), miou_drop=0.3) == []


def test_without_counts_of_each_image_the_bare_difference_decides_and_says_so():
    before, after = (replace(images(*lost), by_image=()) for lost in ((10, 10), (40, 10)))
    (line,) = broken(record(row(accuracy=before)), record(row(accuracy=after)), miou_drop=0.3)
    assert "the bare difference: no counts of each image on both sides" in line


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"data": replace(RECORD.data, classes=("road", "car"))}, "of other classes: road, car; here road, pole"),
        ({"data": replace(RECORD.data, images=3)}, "of other data: 3 images of list.txt"),
        ({"data": replace(RECORD.data, labelled=0)}, "of other data: 2 images of list.txt, 0 with labels"),
        ({"data": replace(RECORD.data, sizes=((33, 48, 2),))}, r"of other data: .* \(2 of 33x48\)"),
    ],
)
def test_a_baseline_of_something_else_is_refused(changes, found):
    with pytest.raises(RecordError, match=found):
        compare_records(replace(RECORD, **changes), RECORD)


def test_a_baseline_of_other_weights_is_compared_and_the_change_is_reported():
    older = replace(RECORD.model, name="old.onnx", sha256="1" * 64)
    before, after = images(*[10] * 4), images(*[20] * 4)
    baseline, now = record(row(accuracy=before), model=older), record(row(ms=25, accuracy=after))
    comparison = compare_records(baseline, now, limits=limits_of(miou_drop=0.3, slowdown=0.05))
    assert comparison.remarks[0] == (
        "the model changed: old.onnx (SHA-256 11111111...) then, m.onnx (SHA-256 00000000...) now; accuracy and speed "
        "are compared all the same"
    )
    drop, slower = comparison.broken
    assert "mean IoU fell" in drop
    assert "slower" in slower


def test_of_several_files_each_is_compared_with_its_own_rows():
    files = {"model": replace(RECORD.model, label="a"), "others": (replace(RECORD.model, label="b", sha256="2" * 64),)}
    now = record(row(), row(file="a"), row(ms=30, file="b"), **files)
    changed = replace(files["others"][0], sha256="3" * 64)
    comparison = compare_records(replace(now, others=(changed,)), now)
    assert [change.runner for change in comparison.rows] == ["onnxruntime", "a onnxruntime", "b onnxruntime"]
    assert not any(change.ratio.longer for found in comparison.rows for change in found.speed)
    assert comparison.remarks[0].startswith("the model changed: m.onnx (SHA-256 33333333...) then")


def test_other_truth_under_the_same_name_is_other_data():
    swapped = replace(WORSE, overall=((100, 100), (0, 0)))
    baseline = record(row(accuracy=swapped), reference=None)
    with pytest.raises(RecordError, match="of other data: other ground truth"):
        compare_records(baseline, record(row(accuracy=WORSE), reference=None))


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"environment": RECORD.environment | {"cpu": "Other CPU"}}, r"another machine \(Other CPU, 4 threads, no GPU"),
        ({"environment": RECORD.environment | {"gpus": ["H100"]}}, r"another machine \(Some CPU, 4 threads, H100"),
        ({"settings": replace(RECORD.settings, threads=1)}, "had 1 threads, and these 2"),
        ({"settings": replace(RECORD.settings, isolated=True)}, "had a process each"),
        # 2 threads on 4 cores: 2.2 others take a tenth of the two
        ({"other_cores": 2.3}, "during the baseline other processes kept 2.3 of 4 cores busy"),
    ],
)
def test_another_machine_or_other_conditions_leave_accuracy_alone(changes, found):
    before, after = images(*[10] * 4), images(*[20] * 4)
    baseline, now = record(row(accuracy=before), **changes), record(row(ms=99, accuracy=after))
    comparison = compare_records(baseline, now, limits=limits_of(miou_drop=0.3, slowdown=0.05))
    assert found.replace("\\", "") in comparison.no_speed
    assert comparison.rows[0].speed == ()
    (line,) = comparison.broken
    assert "mean IoU fell" in line


def test_a_little_other_work_on_the_machine_is_no_obstacle():
    assert compare_records(record(row(), other_cores=2.1), record(row(), other_cores=2.1)).no_speed == ""


def test_rows_without_a_partner_are_reported_and_one_that_broke_breaks_every_limit():
    baseline = record(row("pytorch"), row(), row("onnxruntime:fp16"))
    now = record(row("pytorch"), rec.Row("onnxruntime", "failed", "ran out of memory"), row("onnxruntime:int8"))
    fates = {change.runner: (change.fate, change.reason) for change in compare_records(baseline, now).rows}
    assert fates == {
        "pytorch": ("compared", ""),
        "onnxruntime": ("lost", "measured in the baseline, failed now: ran out of memory"),
        "onnxruntime:int8": ("new", "not in the baseline"),
        "onnxruntime:fp16": ("gone", "in the baseline, and not in this run"),
    }
    assert broken(baseline, now, slowdown=0.05)[0].startswith("onnxruntime: measured in the baseline, failed now")
    assert broken(baseline, now) == []
    unjudged = compare_records(baseline, now, limits=limits_of(slowdown=0.05)).unjudged
    assert unjudged[-1] == "onnxruntime:fp16: in the baseline, and not in this run"


def test_a_runner_given_twice_is_compared_in_its_order():
    baseline, now = record(row(ms=17), row(ms=37)), record(row(ms=17), row(ms=57))
    (line,) = broken(baseline, now, slowdown=0.05)
    assert "(40 ms then, 60 now" in line


def test_a_baseline_that_was_not_steady_is_reported():
    shaky = bench_row("onnxruntime", latency=replace(noisy(17), execute_ns=tuple(range(MS, 41 * MS, MS))))
    (remark,) = compare_records(record(row("pytorch"), shaky), record(row("pytorch"), row())).remarks
    assert remark == "unstable in the baseline: onnxruntime; measure a new one on a quiet machine"


def test_what_else_changed_is_reported():
    busy = RECORD.environment | {"packages": {"torch": "2.9", "onnxruntime": "1.29"}}
    hot = rec.GpuState(0, 1.0, None, None, None, None, None, ("thermal slowdown", "power cap"))
    baseline = record(row(), environment=busy, gpu_states=(hot, hot))
    assert compare_records(baseline, record(row())).remarks == (
        "onnxruntime was 1.29 and is 1.30",
        "during the baseline the GPU held its clocks back: power cap, thermal slowdown",
    )
