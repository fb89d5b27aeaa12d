"""Images read in windows, label maps written in bands."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from fcn_deploy.data.images import load_image, load_label
from fcn_deploy.errors import ImageError, OutputError, ShapeError
from fcn_deploy.tiling.windows import ArrayWindows, DecodedWindows, RawWindows, open_windows
from fcn_deploy.tiling.writing import write_bands

IMAGE = np.random.default_rng(2).integers(0, 256, (37, 53, 3)).astype(np.uint8)


def save(path, **options):
    if path.suffix == ".npy":
        np.save(path, IMAGE)
    else:
        Image.fromarray(IMAGE).save(path, **options)
    return path


@pytest.mark.parametrize(
    ("name", "options", "kind"),
    [
        ("a.npy", {}, RawWindows),
        ("a.ppm", {}, RawWindows),
        ("a.tif", {}, RawWindows),
        ("strips.tif", {"strip_size": 500}, RawWindows),
        ("deflated.tif", {"compression": "tiff_deflate"}, DecodedWindows),
        ("a.png", {}, DecodedWindows),
        ("a.bmp", {}, DecodedWindows),
    ],
)
def test_a_window_of_a_file_is_that_part_of_the_image(tmp_path, name, options, kind):
    image = open_windows(save(tmp_path / name, **options))
    assert isinstance(image, kind)
    assert (image.height, image.width) == (37, 53)
    for top, left, height, width in ((0, 0, 37, 53), (5, 7, 11, 3), (36, 52, 1, 1)):
        window = image.read(top, left, height, width)
        assert window.dtype == np.uint8
        assert np.array_equal(window, IMAGE[top : top + height, left : left + width])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_turned_images_are_read_upright(tmp_path, name, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(IMAGE).save(tmp_path / name, exif=exif)
    whole, image = load_image(tmp_path / name), open_windows(tmp_path / name)
    assert np.array_equal(image.read(0, 0, image.height, image.width), whole)


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "RGBA", "LA", "I;16"])
def test_other_modes_become_rgb_as_the_whole_image_does(tmp_path, mode):
    image = Image.fromarray(IMAGE[..., 0].astype(np.uint16) * 200) if mode == "I;16" else Image.fromarray(IMAGE)
    image.convert(mode).save(tmp_path / "a.tif") if mode != "I;16" else image.save(tmp_path / "a.tif")
    whole, windows = load_image(tmp_path / "a.tif"), open_windows(tmp_path / "a.tif")
    assert np.array_equal(windows.read(3, 4, 20, 30), whole[3:23, 4:34])


def test_the_limit_of_pixels_stands_in_for_pillows(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    with pytest.raises(ImageError, match="too large"):
        load_image(path)
    assert open_windows(path).height == 37
    assert Image.MAX_IMAGE_PIXELS == 500
    with pytest.raises(ImageError, match=r"53x37 pixels; at most 1,000 are read"):
        open_windows(path, most_pixels=1000)


@pytest.mark.parametrize("name", ["a.tif", "a.ppm", "a.npy", "a.png"])
def test_a_file_that_is_cut_off_is_an_error(tmp_path, name):
    path = save(tmp_path / name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(ImageError, match=r"cut off|cannot be read"):
        open_windows(path)


def test_what_is_no_image_is_named(tmp_path):
    with pytest.raises(ImageError, match="does not exist"):
        open_windows(tmp_path / "none.tif")
    with pytest.raises(ImageError, match="is a folder"):
        open_windows(tmp_path)
    with pytest.raises(ImageError, match="device or a pipe"):
        open_windows(tmp_path.__class__("/dev/null"))
    np.save(tmp_path / "f.npy", IMAGE.astype(np.float32))
    with pytest.raises(ImageError, match=r"holds float32\[37, 53, 3\]; needed is uint8"):
        open_windows(tmp_path / "f.npy")
    with pytest.raises(ShapeError, match=r"uint8\[37, 53\]"):
        ArrayWindows(IMAGE[..., 0])


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


def test_npy_is_numpys_own_file(tmp_path):
    wide = np.arange(-1, 29 * 41 - 1, dtype=np.int32).reshape(29, 41)
    write_bands(bands(wide, 20, 9), tmp_path / "a.npy", (29, 41), format="npy")
    stream = io.BytesIO()
    np.save(stream, wide)
    assert (tmp_path / "a.npy").read_bytes() == stream.getvalue()


@pytest.mark.parametrize("heights", [(10,), (10, 18)])
def test_missing_rows_leave_no_file(tmp_path, heights):
    labels = np.zeros((sum(heights), 41), np.uint8)
    with pytest.raises(ShapeError, match=f"{sum(heights)} rows of labels were given; needed 29"):
        write_bands(bands(labels, *heights), tmp_path / "a.png", (29, 41), palette=PALETTE)
    assert list(tmp_path.iterdir()) == []


def test_rows_of_another_width_are_refused(tmp_path):
    with pytest.raises(ShapeError, match=r"rows 0\.\. of labels \[29, 41\] are \[29, 40\]"):
        write_bands(iter([np.zeros((29, 40), np.uint8)]), tmp_path / "a.npy", (29, 41), format="npy")


def test_a_full_device_is_one_line(tmp_path, monkeypatch):
    import errno

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("fcn_deploy.tiling.writing.NpyRows.write", full)
    with pytest.raises(OutputError, match="no space is left"):
        write_bands(iter([np.zeros((29, 41), np.uint8)]), tmp_path / "a.npy", (29, 41), format="npy")
    assert list(tmp_path.iterdir()) == []
