from __future__ import annotations

from pathlib import PurePosixPath

import numpy as np
import pytest
from PIL import Image

from fcn_deploy.data.synthetic.dataset import SyntheticDataset
from fcn_deploy.data.writing import label_image
from fcn_deploy.errors import DataError
from fcn_deploy.prediction.outputs import Outputs

PALETTE = tuple((10 * label, 255 - label, 7) for label in range(11))
LABELS = (np.arange(33 * 47) % 11).reshape(33, 47).astype(np.uint8)
IMAGE = np.random.default_rng(0).integers(0, 256, (33, 47, 3)).astype(np.uint8)
NAME = PurePosixPath("a b/ü.v2.jpg")


@pytest.mark.parametrize("file_format", ["indexed", "raw", "npy"])
@pytest.mark.parametrize("labels", [LABELS, LABELS[:1, :1], LABELS.T], ids=["33x47", "1x1", "transposed"])
def test_labels_read_back_as_they_were_written(tmp_path, file_format, labels):
    outputs = Outputs(tmp_path, file_format, PALETTE)
    image = np.zeros((*labels.shape, 3), np.uint8)
    assert not outputs.exist(NAME)
    outputs.write(NAME, image, labels)
    assert outputs.exist(NAME)
    assert np.array_equal(outputs.read(NAME), labels)
    assert [path.name for path in (tmp_path / "a b").iterdir()] == [f"ü.v2.{'npy' if file_format == 'npy' else 'png'}"]


def test_an_indexed_file_shows_the_palette_and_a_raw_one_the_labels(tmp_path):
    for file_format, mode in (("indexed", "P"), ("raw", "L")):
        outputs = Outputs(tmp_path / file_format, file_format, PALETTE)
        outputs.write(NAME, IMAGE, LABELS)
        with Image.open(outputs.label_path(NAME)) as image:
            assert image.mode == mode
            colour = image.convert("RGB").getpixel((5, 0))
        assert colour == (PALETTE[5] if mode == "P" else (5, 5, 5))


@pytest.mark.parametrize("file_format", ["raw", "npy"])
def test_labels_above_255_read_back(tmp_path, file_format):
    palette = tuple((label // 256, label % 256, 1) for label in range(300))
    outputs = Outputs(tmp_path, file_format, palette, overlay=1.0)
    labels = np.array([[299, 0, 256]], np.int32)
    outputs.write(NAME, np.zeros((1, 3, 3), np.uint8), labels)
    assert outputs.read(NAME).tolist() == labels.tolist()


def test_an_overlay_mixes_image_and_colours_by_its_share(tmp_path):
    outputs = Outputs(tmp_path, "indexed", ((0, 0, 0), (200, 100, 40)), overlay=0.25)
    outputs.write(NAME, np.full((32, 48, 3), (40, 80, 120), np.uint8), np.ones((32, 48), np.uint8))
    with Image.open(tmp_path / "a b" / "ü.v2.overlay.jpg") as image:
        assert image.size == (48, 32)
        # 0.75 * (40, 80, 120) + 0.25 * (200, 100, 40); JPEG keeps a flat colour within 2
        assert np.abs(np.asarray(image).astype(int) - (80, 85, 100)).max() <= 2


def test_results_exist_only_with_their_overlay(tmp_path):
    Outputs(tmp_path, "indexed", PALETTE).write(NAME, IMAGE, LABELS)
    assert not Outputs(tmp_path, "indexed", PALETTE, overlay=0.5).exist(NAME)


@pytest.mark.parametrize("file_format", ["indexed", "npy"])
def test_a_damaged_result_is_reported(tmp_path, file_format):
    outputs = Outputs(tmp_path, file_format, PALETTE)
    outputs.label_path(NAME).parent.mkdir()
    outputs.label_path(NAME).write_bytes(b"")
    with pytest.raises(DataError, match=r"ü\.v2"):
        outputs.read(NAME)


def test_label_maps_of_scenes_are_packed_smaller_than_pillow_does_by_itself(tmp_path):
    scenes = SyntheticDataset(3, 0, (192, 256))
    outputs = Outputs(tmp_path, "indexed", tuple(scenes.palette))
    for index in range(3):
        labels = scenes[index].label
        outputs.write(NAME, scenes[index].image, labels)
        label_image(labels, scenes.palette).save(tmp_path / "plain.png")
        assert outputs.label_path(NAME).stat().st_size < (tmp_path / "plain.png").stat().st_size
        assert np.array_equal(outputs.read(NAME), labels)
