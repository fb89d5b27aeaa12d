"""Splitting a set by a seed, and images that are in two sets."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from fcn_deploy.data.dataset import open_dataset
from fcn_deploy.data.sample import Dataset
from fcn_deploy.data.splits import in_both, share_of, split_off, write_list
from fcn_deploy.errors import DataError
from tests.support.masks import write_masks


def test_a_share_is_a_number_between_0_and_1():
    assert (share_of("0.2"), share_of("val.txt")) == (0.2, None)
    for text in ("0", "1", "20", "-0.1", "nan"):
        with pytest.raises(DataError, match="expected more than 0 and less than 1"):
            share_of(text)


def test_a_split_is_decided_by_the_seed_and_parts_every_image_once():
    whole = open_dataset("synthetic:10:0:33x47")
    train, val = split_off(whole, 0.2, seed=0)
    assert (len(train), len(val), in_both(train, val), in_both(whole, val)) == (8, 2, 0, 2)
    assert val.indices == split_off(whole, 0.2, seed=0)[1].indices != split_off(whole, 0.2, seed=1)[1].indices
    assert sorted(train.indices + val.indices) == list(range(10))
    assert [len(part) for part in split_off(open_dataset("synthetic:2"), 0.01, 0)] == [1, 1]
    assert [len(part) for part in split_off(open_dataset("synthetic:2"), 0.99, 0)] == [1, 1]
    with pytest.raises(DataError, match="has 1 image; expected at least 2"):
        split_off(open_dataset("synthetic:1"), 0.5, 0)


def _with_a_name(folder: Path, name: str, *, count: int) -> Dataset:
    """Return a set of `count` images and label maps in two folders, of which the first has that name."""
    write_masks(folder, (0, 255), count=count)
    for part in ("images", "masks"):
        first = min((folder / part).iterdir())
        first.rename(first.with_name(f"{name}{first.suffix}"))
    return open_dataset(str(folder / "images"), labels=str(folder / "masks"), classes=("back", "object"))


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes on Linux alone")
@pytest.mark.parametrize("name", [b"a  b ", b"a\xff", "a\u2028b\x85c".encode(), b"#a", b"=1+1"])
def test_the_list_of_a_split_opens_as_the_same_set_whatever_the_names(tmp_path, name):
    whole = _with_a_name(tmp_path, os.fsdecode(name), count=2)
    (tmp_path / "run").mkdir()
    write_list(whole, tmp_path / "run/val.txt")
    assert in_both(whole, open_dataset(str(tmp_path / "run/val.txt"))) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes on Linux alone")
@pytest.mark.parametrize("name", ["a\tb", "a\nb", 'a"b'])
def test_a_name_that_no_list_can_hold_is_refused_before_anything_is_written(tmp_path, name):
    whole = _with_a_name(tmp_path, name, count=1)
    with pytest.raises(DataError, match="which no list can hold; rename it"):
        write_list(whole, tmp_path / "val.txt")
    assert not (tmp_path / "val.txt").exists()


def test_the_list_of_a_split_opens_as_the_same_set(tmp_path):
    write_masks(tmp_path, (0, 255), count=4)
    (tmp_path / "classes.txt").write_text("back 0 0 0\nobject 255 255 255\n")
    whole = open_dataset(str(tmp_path / "images"), labels=str(tmp_path / "masks"))
    _, val = split_off(whole, 0.5, seed=0)
    (tmp_path / "run").mkdir()
    write_list(val, tmp_path / "run/val.txt")
    read = open_dataset(str(tmp_path / "run/val.txt"))
    assert (len(read), read.classes, in_both(whole, read)) == (2, ("back", "object"), 2)
    assert np.array_equal(read[1].label, val[1].label)
