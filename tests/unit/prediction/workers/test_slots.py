from __future__ import annotations

import os

import numpy as np
import pytest

from fcn_deploy.prediction.workers.slots import STRIDE, Slots


@pytest.fixture
def memory():
    descriptor = os.memfd_create("test")
    yield descriptor
    os.close(descriptor)


def taken(descriptor: int) -> int:
    """Bytes of memory behind the file."""
    return os.fstat(descriptor).st_blocks * 512


def test_two_mappings_see_one_image_and_its_labels_apart_from_other_slots(memory):
    first, second = Slots(memory, 3), Slots(memory, 3)
    for slot in range(3):
        first.image(slot, (5, 7, 3))[:] = slot + 1
        first.labels(slot, (5, 7), np.int32)[:] = -slot
    for slot in range(3):
        assert (second.image(slot, (5, 7, 3)) == slot + 1).all()
        assert (second.labels(slot, (5, 7), np.int32) == -slot).all()


def test_stopping_reaches_every_process(memory):
    first, second = Slots(memory, 1), Slots(memory, 1)
    assert not second.stopped
    first.stop()
    assert second.stopped


def test_only_what_was_written_takes_memory_and_that_of_a_large_image_is_given_back(memory):
    slots = Slots(memory, 100)
    slots.image(7, (600, 800, 3))[:] = 1
    assert taken(memory) < 2 << 20
    slots.image(8, (5000, 5000, 3))[:] = 1
    assert taken(memory) > 70 << 20
    slots.free(8, (5000, 5000, 3))
    slots.free(7, (600, 800, 3))
    assert 0 < taken(memory) < 2 << 20


def test_an_image_that_fits_no_slot_is_refused(memory):
    with pytest.raises(MemoryError):
        Slots(memory, 1).image(0, (STRIDE // 30_000, 30_000, 3))
