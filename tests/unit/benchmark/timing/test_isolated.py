"""Runners in processes of their own, on a real ONNX Runtime."""

from __future__ import annotations

import os
import pickle
import signal
from pathlib import Path

import numpy as np
import psutil
import pytest

from fcn_deploy.benchmark.timing.isolated import InChild
from fcn_deploy.benchmark.timing.latency import Budget, measure
from fcn_deploy.errors import RunnerError
from tests.support.onnx_files import write_graph

BATCH = np.zeros((2, 33, 47, 3), np.uint8)


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> str:
    return str(write_graph(tmp_path_factory.mktemp("models") / "m.onnx"))


def test_isolated_runners_take_turns_and_are_timed_inside_their_processes(path):
    with InChild("one", "onnxruntime", path, threads=1) as one, InChild("two", "onnxruntime", path) as two:
        assert len({one.pid, two.pid, os.getpid()}) == 3
        _, samples = measure([one, two], [BATCH, BATCH + 1], Budget(iterations=6, warmup=1, settle_ms=0))
        children = [psutil.Process(child.pid) for child in (one, two)]
    assert [sample.failure for sample in samples] == [None, None]
    assert all(len(sample.total_ns) == 6 and min(timing.host[1] for timing in sample.timings) > 0 for sample in samples)
    assert not any(child.is_running() for child in children)


def test_images_per_second_are_counted_inside_the_process(path):
    with InChild("one", "onnxruntime", path, threads=1) as one:
        assert not one.streams
        images, seconds = one.saturate([BATCH, BATCH + 1], 0.1)
    assert images >= 2
    assert images % 2 == 0
    assert seconds > 0


def test_what_a_runner_refuses_is_reported_in_its_own_words_and_its_process_goes_on(path):
    with InChild("one", "onnxruntime", path) as one:
        with pytest.raises(RunnerError, match=r"image.*expected uint8\[N, H, W, 3\]"):
            one.time(BATCH[..., :2])
        assert one.time(BATCH).total_ns > 0


def test_notes_are_the_runners_by_now_and_none_of_a_dead_process(path):
    with InChild("one", "pytorch:bf16", "demo") as one:
        assert one.notes == ()
        one._process.kill()
        one._process.wait()
        assert one.notes == ()
    with InChild("two", "onnxruntime", str(write_graph(Path(path).with_name("float.onnx"), image="float"))) as two:
        assert two.notes == ("normalises the image on the host (in upload)",)


def test_a_runner_that_cannot_be_opened_says_why(tmp_path):
    with pytest.raises(RunnerError, match=r"none\.onnx does not exist"):
        InChild("one", "onnxruntime", str(tmp_path / "none.onnx"))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows ends processes by other ways")
def test_a_process_that_dies_fails_its_own_row_and_no_other(path):
    with InChild("dies", "onnxruntime", path) as dies, InChild("lives", "onnxruntime", path) as lives:
        os.kill(dies.pid, signal.SIGKILL)
        _, samples = measure([dies, lives], [BATCH], Budget(iterations=3, warmup=1, settle_ms=0))
    assert samples[0].failure is not None
    assert samples[0].failure.startswith("dies: its process was killed (SIGKILL), often because memory ran out")
    assert len(samples[1].total_ns) == 3


def test_an_interruption_does_not_wait_for_what_the_child_is_at(path):
    def interrupted(one: InChild) -> None:
        one.time(BATCH)
        assert one._process.stdin is not None
        pickle.dump(("saturate", [id(BATCH)], 60.0), one._process.stdin)  # a minute's work
        one._process.stdin.flush()
        raise KeyboardInterrupt

    with InChild("one", "onnxruntime", path) as one:
        process = one._process
        with pytest.raises(KeyboardInterrupt), one:
            interrupted(one)
        assert process.returncode == -signal.SIGKILL
