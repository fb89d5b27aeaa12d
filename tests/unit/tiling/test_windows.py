"""Windows of an image file."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from fcn_deploy.data.images import load_image
from fcn_deploy.errors import ImageError, ShapeError
from fcn_deploy.tiling.windows import ArrayWindows, DecodedWindows, RawWindows, open_windows

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


@pytest.mark.parametrize("name", ["a.npy", "a.ppm", "a.tif"])
def test_a_file_that_becomes_shorter_while_it_is_read_is_one_line(tmp_path, name):
    image = open_windows(save(tmp_path / name))
    os.truncate(tmp_path / name, 3000)
    with pytest.raises(ImageError, match="became shorter while it was read; copy it again"):
        image.read(0, 0, 37, 53)
    (tmp_path / name).unlink()
    with pytest.raises(ImageError, match="cannot be read any more: No such file"):
        image.read(0, 0, 1, 1)


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


def test_the_limit_of_pixels_replaces_pillows(tmp_path, monkeypatch):
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
    with pytest.raises(ImageError, match=r"holds float32\[37, 53, 3\]; expected uint8"):
        open_windows(tmp_path / "f.npy")
    with pytest.raises(ShapeError, match=r"uint8\[37, 53\]"):
        ArrayWindows(IMAGE[..., 0])


def test_an_image_that_does_not_fit_in_memory_is_not_decoded(tmp_path, monkeypatch):
    Image.new("RGB", (300, 200)).save(tmp_path / "a.png")
    Image.new("L", (300, 200)).save(tmp_path / "grey.png")
    monkeypatch.setattr("fcn_deploy.tiling.windows.free_bytes", lambda: 300 * 200 * 4 - 1)
    with pytest.raises(ImageError, match=r"GiB decoded and .* are free; save it as NPY"):
        open_windows(tmp_path / "a.png")
    assert open_windows(tmp_path / "grey.png").height == 200
