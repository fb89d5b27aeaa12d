"""Shifts and exchanges of class ids are found."""

from __future__ import annotations

import numpy as np

from fcn_deploy.diagnosis.slips.fitted import fit_ids, fit_shift

LABELS = np.random.default_rng(0).integers(0, 4, (8, 10)).repeat(8, 0).repeat(8, 1)


def test_a_shift_is_found_in_words_and_as_a_step():
    fitted = fit_shift([LABELS], [np.roll(LABELS, (-3, 5), (0, 1))])
    assert fitted is not None
    assert fitted[0] == "shifted by 3 px up and 5 px right"
    np.testing.assert_array_equal(fitted[1](LABELS)[:-3, 5:], np.roll(LABELS, (-3, 5), (0, 1))[:-3, 5:])


def test_no_shift_and_maps_too_small_for_one():
    assert fit_shift([LABELS], [LABELS]) is None
    assert fit_shift([LABELS[:16, :16]], [LABELS[1:17, :16]]) is None


def test_exchanged_ids_are_found():
    ids = np.array([2, 0, 1, 3])
    fitted = fit_ids([LABELS], [ids[LABELS]])
    assert fitted is not None
    assert fitted[0] == "class ids permuted (0 is 2, 1 is 0, 2 is 1)"
    np.testing.assert_array_equal(fitted[1](LABELS), ids[LABELS])


def test_ids_as_they_are_and_ids_that_are_no_classes():
    assert fit_ids([LABELS], [LABELS]) is None
    assert fit_ids([LABELS], [LABELS * 1000]) is None
    assert fit_ids([LABELS - 1], [LABELS]) is None
