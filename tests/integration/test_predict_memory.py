"""Memory of `predict` does not depend on how many images there are, measured as the peak of a process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from fcn_deploy.data.synthetic import SyntheticDataset

from ..unit.onnx_files import write_graph
from .test_tiling_networks import peak_of

SIZE = (600, 800)  # 1.4 MB decoded, 0.5 MB of labels
FEW, MANY = 20, 200


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """`MANY` images in a folder and `FEW` in another, as links to two files."""
    scenes = SyntheticDataset(2, 0, SIZE)
    for index in range(2):
        Image.fromarray(scenes[index].image).save(tmp_path / f"{index}.jpg")
    for count in (FEW, MANY):
        (tmp_path / str(count)).mkdir()
        for index in range(count):
            os.link(tmp_path / f"{index % 2}.jpg", tmp_path / str(count) / f"{index:03}.jpg")
    return tmp_path


@pytest.mark.parametrize("options", [(), ("--overlay", "--batch", 4)])
def test_ten_times_the_images_take_no_more_memory(photos: Path, options: tuple[object, ...]):
    """One image held for each that was labelled would be 340 MB more; allocators and caches are granted 48."""
    model = write_graph(photos / "small.onnx")
    few, many = (
        peak_of("predict", model, photos / str(count), "-o", photos / f"masks{count}", *options, "--workers", 2)
        for count in (FEW, MANY)
    )
    assert len(list((photos / f"masks{MANY}").glob("*.png"))) == MANY
    assert many < few + (48 << 20)
