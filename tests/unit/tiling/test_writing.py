"""Images read in windows, label maps written in bands."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fcn_deploy.data.images import load_label
from fcn_deploy.data.writing import is_marked
from fcn_deploy.errors import OutputError, ShapeError
from fcn_deploy.tiling.writing import write_bands


def bands(labels, *heights):
    ends = np.cumsum(heights)
    return iter(np.split(labels, ends[:-1]))


PALETTE = [(10, 20, 30), (40, 50, 60), (70, 80, 90)]


def test_an_indexed_png_has_the_palette_and_black_for_unlabelled(tmp_path):
    labels = np.random.default_rng(1).choice([0, 1, 2, 255], (29, 41)).astype(np.uint8)
    write_bands(bands(labels, 10, 1, 18), tmp_path / "a.png", (29, 41), palette=PALETTE)
    assert np.array_equal(load_label(tmp_path / "a.png"), labels)
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "P"
        colours = np.array([*PALETTE, *[(0, 0, 0)] * 253], np.uint8)
        assert np.array_equal(np.asarray(image.convert("RGB")), colours[labels])


def test_raw_pngs_are_grey_of_8_or_16_bits(tmp_path):
    narrow = np.arange(29 * 41, dtype=np.int64).reshape(29, 41).astype(np.uint8)
    wide = np.arange(-1, 29 * 41 - 1, dtype=np.int32).reshape(29, 41)
    write_bands(bands(narrow, 29), tmp_path / "narrow.png", (29, 41), format="raw")
    write_bands(bands(wide, 20, 9), tmp_path / "wide.png", (29, 41), format="raw")
    assert np.array_equal(load_label(tmp_path / "narrow.png"), narrow)
    assert np.array_equal(load_label(tmp_path / "wide.png"), np.where(wide < 0, 65535, wide))
    with pytest.raises(ShapeError, match="indexed PNG holds uint8 labels and these are int32"):
        write_bands(bands(wide, 29), tmp_path / "indexed.png", (29, 41))


@pytest.mark.parametrize("form", ["indexed", "raw"])
def test_a_png_has_the_mark_of_a_result_so_that_the_next_run_replaces_it(tmp_path, form):
    write_bands(bands(np.zeros((29, 41), np.uint8), 29), tmp_path / "a.png", (29, 41), format=form, palette=PALETTE)
    assert is_marked(tmp_path / "a.png")


def test_a_label_that_16_bits_do_not_hold_is_refused(tmp_path):
    for largest in (65535, 70000):  # 65535 is unlabelled
        with pytest.raises(OutputError, match=r"a label is .*, and a PNG holds labels up to 65,534; write arrays"):
            write_bands(bands(np.full((29, 41), largest), 29), tmp_path / "a.png", (29, 41), format="raw")
    assert list(tmp_path.iterdir()) == []


def test_an_array_is_read_by_numpy_and_has_the_mark_of_a_result(tmp_path):
    wide = np.arange(-1, 29 * 41 - 1, dtype=np.int32).reshape(29, 41)
    write_bands(bands(wide, 20, 9), tmp_path / "a.npy", (29, 41), format="npy")
    found = np.load(tmp_path / "a.npy", allow_pickle=False)
    assert (found.dtype, found.flags.c_contiguous) == (np.dtype(np.int32), True)
    assert np.array_equal(found, wide)
    assert is_marked(tmp_path / "a.npy")
    np.save(tmp_path / "own.npy", wide)
    assert not is_marked(tmp_path / "own.npy")


@pytest.mark.parametrize("heights", [(10,), (10, 18)])
def test_missing_rows_leave_no_file(tmp_path, heights):
    labels = np.zeros((sum(heights), 41), np.uint8)
    with pytest.raises(ShapeError, match=f"{sum(heights)} rows of labels were given; expected 29"):
        write_bands(bands(labels, *heights), tmp_path / "a.png", (29, 41), palette=PALETTE)
    assert list(tmp_path.iterdir()) == []


def test_rows_of_another_width_are_refused(tmp_path):
    with pytest.raises(ShapeError, match=r"rows 0\.\. of labels \[29, 41\] are \[29, 40\]"):
        write_bands(iter([np.zeros((29, 40), np.uint8)]), tmp_path / "a.npy", (29, 41), format="npy")


def test_a_full_device_is_one_line(tmp_path, monkeypatch):
    import errno

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("fcn_deploy.tiling.writing.NpyWriter.write", full)
    with pytest.raises(OutputError, match="no space is left"):
        write_bands(iter([np.zeros((29, 41), np.uint8)]), tmp_path / "a.npy", (29, 41), format="npy")
    assert list(tmp_path.iterdir()) == []
