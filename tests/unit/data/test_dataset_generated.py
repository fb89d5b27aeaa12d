"""Data sets named as synthetic:COUNT:SEED:SIZE."""

from __future__ import annotations

import numpy as np
import pytest

from fcn_deploy.data.dataset import open_dataset
from fcn_deploy.errors import DataError


def test_generated_classes_take_other_names_and_unlabelled_pixels():
    names = tuple("abcdefgh")
    dataset = open_dataset("synthetic:2:0:33x47", classes=names, ignore_index=3)
    assert dataset.classes == names
    plain = open_dataset("synthetic:2:0:33x47")[1].label
    assert (plain == 3).any()
    assert np.array_equal(dataset[1].label, np.where(plain == 3, 255, plain))


def test_generated_scenes_refuse_what_they_cannot_serve():
    with pytest.raises(DataError, match=r"generated scenes have 8 classes \(sky, .*\), but 2 names were given"):
        open_dataset("synthetic", classes=("a", "b"))
    with pytest.raises(DataError, match=r"masks would not be looked at: .* and synthetic:3 is generated"):
        open_dataset("synthetic:3", labels="masks")


@pytest.mark.parametrize("source", ["synthetic:", "synthetic:many", "synthetic:3:1:64", "synthetic:3:1:64x64x3"])
def test_a_malformed_source_shows_the_form(source):
    with pytest.raises(DataError, match="expected synthetic:COUNT:SEED:HEIGHTxWIDTH"):
        open_dataset(source)


@pytest.mark.parametrize("source", ["synthetic:0", "synthetic:3:1:0x64"])
def test_an_empty_source_is_an_error(source):
    with pytest.raises(DataError, match="is empty"):
        open_dataset(source)
