"""What libraries say when memory runs out."""

from __future__ import annotations

import numpy as np
import pytest

from fcn_deploy.system.memory import free_bytes, is_out_of_memory


def test_numpy_and_pytorch_are_understood():
    import torch

    for ask in (lambda: np.empty((2**40, 2**40), np.uint8), lambda: np.empty(2**50), lambda: torch.empty(2**50)):
        with pytest.raises((ValueError, MemoryError, RuntimeError)) as raised:
            ask()
        assert is_out_of_memory(raised.value), raised.value


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (MemoryError(), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("shape mismatch"), False),
        (ValueError("odd"), False),
        (KeyError("out of memory"), False),
    ],
)
def test_other_errors_are_not(error, is_memory):
    assert is_out_of_memory(error) is is_memory


def test_some_memory_is_free():
    assert 1 << 20 < free_bytes() < 1 << 50
