"""Copies on the host, and the choice between ways; copies to and from a GPU are held by tests/gpu."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from fcn_deploy.runners.transfers import ROUNDS, Download, Upload, fastest


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float16])
def test_what_was_written_is_read_by_its_caller_alone(dtype):
    tensor = torch.zeros((2, 3), dtype=torch.from_numpy(np.empty(0, dtype)).dtype)
    upload, download = Upload(tensor), Download(tensor)
    first = np.arange(6).reshape(2, 3).astype(dtype)
    upload.write(torch.from_numpy(first))
    read = download.read()
    upload.write(torch.from_numpy(first + first))
    assert np.array_equal(read, first)
    assert np.array_equal(download.read(), first + first)
    assert (upload.way, download.way) == ("directly", "directly")


def test_outputs_of_inference_mode_are_read():
    with torch.inference_mode():
        tensor = torch.ones(3)
    assert Download(tensor).read().tolist() == [1, 1, 1]


def test_the_fastest_is_chosen_after_a_turn_that_does_not_count():
    calls = {"warms up slowly": 0, "always slow": 0}

    def call(name: str, seconds: float) -> None:
        calls[name] += 1
        time.sleep(0.05 if calls[name] == 1 else seconds)

    ways = {"always slow": lambda: call("always slow", 0.01), "warms up slowly": lambda: call("warms up slowly", 0.0)}
    assert fastest(ways) == "warms up slowly"
    assert set(calls.values()) == {1 + ROUNDS}
