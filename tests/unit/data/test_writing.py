"""Data sets written to disk."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fcn_deploy.data.dataset import Sample, open_dataset
from fcn_deploy.data.synthetic.dataset import SyntheticDataset
from fcn_deploy.data.writing import is_whole, label_image, save_image, save_labels, write_pairs
from fcn_deploy.errors import OutputError


def test_a_data_set_written_as_pairs_reads_back_the_same(tmp_path):
    source = SyntheticDataset(count=3, seed=4, size=(17, 23))
    dataset = open_dataset(str(write_pairs(source, tmp_path / "new folder")))
    assert (len(dataset), dataset.classes, dataset.palette) == (3, source.classes, source.palette)
    for index in range(3):
        assert np.array_equal(dataset[index].image, source[index].image)
        assert np.array_equal(dataset[index].label, source[index].label)


def test_wide_labels_written_as_pairs_read_back_the_same(tmp_path):
    wide = Wide()
    dataset = open_dataset(str(write_pairs(wide, tmp_path)))
    assert dataset[0].label.dtype == np.int32
    assert dataset[0].label.tolist() == wide[0].label.tolist()


class Wide:
    """One image of a data set with 300 classes."""

    name = "wide"
    classes = tuple(f"c{index}" for index in range(300))
    palette = tuple((index // 256, index % 256, 1) for index in range(300))

    def __len__(self):
        return 1

    def __getitem__(self, index):
        image = np.zeros((1, 3, 3), np.uint8)
        return Sample(image, np.array([[299, -1, 255]], np.int32), "wide")


PALETTE = tuple((10 * label, 255 - label, 7) for label in range(11))
LABELS = (np.arange(33 * 47) % 11).reshape(33, 47).astype(np.uint8)


@pytest.mark.parametrize("unlabelled", [12, 255])
def test_a_label_beyond_the_palette_survives_an_indexed_file(tmp_path, unlabelled):
    labels = LABELS.copy()
    labels[3, 4] = unlabelled
    save_image(label_image(labels, PALETTE), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert np.array_equal(np.asarray(image), labels)
        assert image.convert("RGB").getpixel((4, 3)) == (0, 0, 0)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".npy"])
def test_a_file_that_was_cut_short_or_is_another_is_not_whole(tmp_path, suffix):
    path = tmp_path / f"labels{suffix}"
    labels = np.arange(77, dtype=np.uint8).reshape(7, 11)
    if suffix == ".npy":
        np.save(path, labels)
    elif suffix == ".png":
        save_labels(label_image(labels, None), path)
    else:
        save_image(Image.fromarray(labels), path)
    assert is_whole(path)
    data = path.read_bytes()
    for broken in (b"", data[:-1], data[: len(data) // 2], data[:20], b"text\n" * 20):
        path.write_bytes(broken)
        assert not is_whole(path)
    path.unlink()
    assert not is_whole(path)
    path.mkdir()
    assert not is_whole(path)


def test_a_photo_of_a_label_map_s_name_is_no_label_map(tmp_path):
    Image.fromarray(np.zeros((7, 11, 3), np.uint8)).save(tmp_path / "photo.png")
    assert not is_whole(tmp_path / "photo.png")


@pytest.mark.parametrize("largest", [65535, 70000])  # 65535 is unlabelled
def test_a_label_that_16_bits_do_not_hold_is_refused(largest):
    assert np.asarray(label_image(np.array([[-1, 65534]]), None)).tolist() == [[65535, 65534]]
    with pytest.raises(OutputError, match="a PNG holds labels up to 65,534"):
        label_image(np.array([[0, largest]]), None)
