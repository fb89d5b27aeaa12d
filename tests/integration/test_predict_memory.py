"""Memory of `predict` does not depend on how many images there are, measured as the peak of a process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from fcn_deploy.data.synthetic.dataset import SyntheticDataset
from tests.support.onnx_files import write_graph
from tests.support.peak_memory import peak_of

SIZE = (600, 800)  # 1.4 MB decoded, 0.5 MB of labels
FEW, MANY = 60, 200  # allocators have taken their fill by 60 images: 25 to 45 MB more than at 20


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


@pytest.mark.parametrize("options", [pytest.param((), marks=pytest.mark.long), ("--overlay", "--batch", 4)])
def test_more_images_take_no_more_memory(photos: Path, options: tuple[object, ...]):
    """One image held for each that was labelled would be 260 MB more; allocators and caches are granted 64."""
    model = write_graph(photos / "small.onnx")
    few, many = (
        peak_of("predict", model, photos / str(count), "-o", photos / f"masks{count}", *options, "--workers", 2)
        for count in (FEW, MANY)
    )
    assert len(list((photos / f"masks{MANY}").glob("*.png"))) == MANY
    assert many < few + (64 << 20)


RESIDENT = """
import sys, numpy as np, psutil
from fcn_deploy.runners.registry import open_runner
image = np.random.default_rng(0).integers(0, 256, (1, 768, 768, 3), np.uint8)  # of one class scores are computed too
with open_runner("onnxruntime", sys.argv[1], threads=1) as runner:
    for _ in range(3):
        assert len(np.unique(runner.infer({"image": image})["labels"])) > 1
        print(psutil.Process().memory_info().rss)
"""


def test_inferences_of_one_size_hold_what_the_first_took(demo_onnx):
    done = subprocess.run([sys.executable, "-c", RESIDENT, demo_onnx], capture_output=True, text=True, check=True)
    first, _, third = map(int, done.stdout.split())
    assert third < 1.1 * first  # 1.4 with onnxruntime's pattern of allocations
