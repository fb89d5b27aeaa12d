"""Pairs of image and label files: sizes are compared before a label map is decoded."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageFile

from fcn_deploy.data import pairs
from fcn_deploy.data.classes import ClassList
from fcn_deploy.data.labels import LabelRule
from fcn_deploy.data.pairs import PairDataset
from fcn_deploy.errors import LabelError


def dataset(folder: Path, size: tuple[int, int]) -> PairDataset:
    Image.new("RGB", (20, 10)).save(folder / "a.png")
    Image.new("L", size).save(folder / "label.png")
    return PairDataset("d", [(folder / "a.png", folder / "label.png")], ClassList.of(["x", "y"]), LabelRule(2))


@pytest.fixture
def undecodable(monkeypatch: pytest.MonkeyPatch) -> None:
    load = ImageFile.ImageFile.load

    def refuse(image: ImageFile.ImageFile) -> object:
        assert image.mode != "L", "the label map is decoded"
        return load(image)

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", refuse)


def test_a_label_map_of_another_size_is_refused_by_its_header(tmp_path, undecodable):
    with pytest.raises(LabelError, match=r"label.png is 30 x 10 and its image a.png 20 x 10"):
        dataset(tmp_path, (30, 10))[0]


def test_a_large_one_is_refused_by_its_header_alone_too(tmp_path, undecodable, monkeypatch):
    monkeypatch.setattr(pairs, "LARGE", 299)
    with pytest.raises(LabelError, match=r"30 x 10 and its image a.png 20 x 10"):
        dataset(tmp_path, (30, 10)).read_label(0)


def test_a_small_one_is_read_alone_whatever_its_size(tmp_path):
    raw, _ = dataset(tmp_path, (30, 10)).read_label(0) or (None, None)
    assert raw is not None
    assert raw.shape == (10, 30)


def test_a_turned_one_is_compared_when_it_is_upright(tmp_path):
    with pytest.raises(LabelError, match=r"label.png is 10 x 20 and its image a.png 20 x 10"):
        dataset(tmp_path, (10, 20))[0]
