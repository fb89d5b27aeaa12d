import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from fcn_deploy.data.images import load_image, load_label
from fcn_deploy.errors import ImageError, LabelError

# 2 x 3 pixels, all different, none grey.
PIXELS = np.array([[[250, 10, 30], [20, 240, 5], [7, 60, 200]], [[90, 80, 10], [1, 2, 3], [255, 128, 0]]], np.uint8)
GREY = np.array([[0, 50, 255], [128, 3, 17]], np.uint8)


def save(path, image, **options):
    image.save(path, **options)
    return path


@pytest.mark.parametrize(
    ("name", "options"), [("a.png", {}), ("a.bmp", {}), ("a.tiff", {}), ("a.webp", {"lossless": True, "exact": True})]
)
def test_lossless_formats_give_their_pixels(tmp_path, name, options):
    image = load_image(save(tmp_path / name, Image.fromarray(PIXELS), **options))
    assert image.dtype == np.uint8
    assert image.flags.writeable
    assert np.array_equal(image, PIXELS)


def test_jpeg_gives_its_pixels_within_its_loss(tmp_path):
    flat = np.full((17, 33, 3), (200, 100, 50), np.uint8)
    image = load_image(save(tmp_path / "a.JPG", Image.fromarray(flat), format="JPEG", quality=95))
    # one flat colour survives quality 95 but for the rounding of YCbCr
    assert np.abs(image.astype(int) - flat).max() <= 2


def test_grey_and_one_bit_images_become_three_equal_channels(tmp_path):
    grey = load_image(save(tmp_path / "grey.png", Image.fromarray(GREY)))
    assert np.array_equal(grey, np.stack([GREY] * 3, axis=2))
    bits = load_image(save(tmp_path / "bits.png", Image.fromarray(GREY > 100)))
    assert bits[:, :, 0].tolist() == [[0, 0, 255], [255, 0, 0]]
    assert bits.shape == (2, 3, 3)


def test_palette_images_give_their_colours(tmp_path):
    indexed = Image.fromarray(np.array([[0, 1], [1, 0], [0, 0]], np.uint8))
    indexed.putpalette([9, 8, 7, 200, 100, 0])
    assert load_image(save(tmp_path / "a.png", indexed))[:, :, 0].tolist() == [[9, 200], [200, 9], [9, 9]]


def test_alpha_is_dropped_and_the_colour_under_it_kept(tmp_path):
    alpha = np.array([[0, 1, 255], [128, 0, 7]], np.uint8)
    rgba = np.concatenate([PIXELS, alpha[:, :, None]], axis=2)
    assert np.array_equal(load_image(save(tmp_path / "rgba.png", Image.fromarray(rgba))), PIXELS)
    grey_alpha = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(alpha)])
    assert np.array_equal(load_image(save(tmp_path / "la.png", grey_alpha))[:, :, 2], GREY)


@pytest.mark.parametrize("name", ["a.png", "a.tiff"])
def test_sixteen_bit_grey_keeps_its_high_byte(tmp_path, name):
    wide = np.array([[0, 255, 256], [0x1234, 0xFF00, 0xFFFF]], np.uint16)
    image = load_image(save(tmp_path / name, Image.fromarray(wide)))
    assert image[:, :, 1].tolist() == [[0, 0, 1], [0x12, 0xFF, 0xFF]]
    assert image.shape == (2, 3, 3)


def test_sixteen_bit_rgb_keeps_its_high_byte(tmp_path):
    path = tmp_path / "rgb16.png"
    path.write_bytes(png_rgb16([[0x1234, 0x00FF, 0xFF80]]))
    assert load_image(path).tolist() == [[[0x12, 0x00, 0xFF]]]


def png_rgb16(pixels):
    """A PNG of one row with 16 bits per channel, which Pillow reads but does not write."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\0" + b"".join(struct.pack(">3H", *pixel) for pixel in pixels)
    header = struct.pack(">IIBBBBB", len(pixels), 1, 16, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def test_cmyk_becomes_rgb(tmp_path):
    ink = Image.new("CMYK", (5, 3), (0, 255, 255, 0))  # magenta and yellow make red
    assert load_image(save(tmp_path / "a.tiff", ink))[2, 4].tolist() == [255, 0, 0]
    red = load_image(save(tmp_path / "a.jpg", ink, quality=95))[2, 4]
    assert red[0] > 245  # JPEG's loss on a flat colour
    assert red[1:].max() < 10


def test_of_several_pages_the_first_is_read(tmp_path):
    pages = [Image.new("RGB", (4, 3), colour) for colour in ("red", "blue")]
    path = save(tmp_path / "a.tiff", pages[0], save_all=True, append_images=pages[1:])
    assert load_image(path)[0, 0].tolist() == [255, 0, 0]


# EXIF orientation -> where the stored top left pixel is seen, as (row, column) of the upright 3 x 2 or 2 x 3 image.
CORNERS = {1: (0, 0), 2: (0, 2), 3: (1, 2), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (2, 1), 8: (2, 0)}


@pytest.mark.parametrize("orientation", CORNERS)
@pytest.mark.parametrize("name", ["a.png", "a.tiff", "a.webp"])
def test_exif_orientation_is_applied_to_images(tmp_path, orientation, name):
    stored = np.zeros((2, 3, 3), np.uint8)
    stored[0, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if name.endswith("webp") else {}
    image = load_image(save(tmp_path / name, Image.fromarray(stored), exif=exif, **options))
    assert image.shape == ((2, 3, 3) if orientation <= 4 else (3, 2, 3))
    assert [tuple(place) for place in np.argwhere(image[:, :, 0])] == [CORNERS[orientation]]


def test_exif_orientation_is_applied_to_labels_that_carry_it(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    label = load_label(save(tmp_path / "a.png", Image.fromarray(np.array([[1, 2, 3], [4, 5, 6]], np.uint8)), exif=exif))
    assert label.tolist() == [[4, 1], [5, 2], [6, 3]]


def test_a_broken_exif_block_does_not_spoil_the_image(tmp_path):
    path = save(tmp_path / "a.png", Image.fromarray(PIXELS), exif=b"Exif\0\0this is no TIFF header")
    assert np.array_equal(load_image(path), PIXELS)


def test_label_maps_keep_their_values(tmp_path):
    indexed = Image.fromarray(GREY)
    indexed.putpalette(list(range(256)) * 3)
    assert load_label(save(tmp_path / "indexed.png", indexed)).tolist() == GREY.tolist()
    assert load_label(save(tmp_path / "grey.bmp", Image.fromarray(GREY))).tolist() == GREY.tolist()
    bits = load_label(save(tmp_path / "bits.png", Image.fromarray(GREY > 100)))
    assert (bits.dtype, bits.tolist()) == (np.uint8, [[0, 0, 1], [1, 0, 0]])
    alpha = Image.merge("LA", [Image.fromarray(GREY)] * 2)
    assert load_label(save(tmp_path / "la.png", alpha)).tolist() == GREY.tolist()


@pytest.mark.parametrize("name", ["a.png", "a.tiff"])
def test_sixteen_bit_label_maps_keep_their_values(tmp_path, name):
    wide = np.array([[0, 300, 65535]], np.uint16)
    label = load_label(save(tmp_path / name, Image.fromarray(wide)))
    assert label.dtype.isnative
    assert label.tolist() == wide.tolist()


def test_rgb_coded_label_maps_are_looked_up(tmp_path):
    coded = np.array([[[9, 0, 0], [0, 9, 0]], [[0, 0, 9], [9, 0, 0]], [[0, 9, 0], [0, 9, 0]]], np.uint8)
    colours = {(9, 0, 0): 0, (0, 9, 0): 7, (0, 0, 9): 255}
    path = save(tmp_path / "a.png", Image.fromarray(coded))
    label = load_label(path, colours)
    assert (label.dtype, label.tolist()) == (np.uint8, [[0, 7], [255, 0], [7, 7]])
    assert load_label(path, colours | {(0, 9, 0): 300}).tolist() == [[0, 300], [255, 0], [300, 300]]
    with pytest.raises(LabelError, match=r"classes\.txt"):
        load_label(path)


def test_an_unknown_colour_is_named_with_its_place_and_count(tmp_path):
    coded = np.zeros((4, 5, 3), np.uint8)
    coded[2, 3:] = (12, 34, 56)
    coded[3, 0] = (1, 1, 1)
    path = save(tmp_path / "a.png", Image.fromarray(coded))
    with pytest.raises(
        LabelError, match=r"a\.png has colour 12 34 56 in 2 pixels, first at row 2, column 3 and 1 more"
    ):
        load_label(path, {(0, 0, 0): 0})


def test_labels_are_not_read_from_files_that_cannot_hold_them(tmp_path):
    with pytest.raises(LabelError, match="JPEG, whose loss changes labels"):
        load_label(save(tmp_path / "a.jpg", Image.fromarray(GREY)))
    with pytest.raises(LabelError, match="mode CMYK"):
        load_label(save(tmp_path / "cmyk.tiff", Image.new("CMYK", (5, 3))))


def test_thirty_two_bit_images_are_refused_and_such_labels_read(tmp_path):
    values = np.array([[1, 70000, 3]], np.int32)
    path = save(tmp_path / "a.tiff", Image.fromarray(values))
    assert load_label(path).tolist() == values.tolist()
    for refused in (path, save(tmp_path / "float.tiff", Image.fromarray(values.astype(np.float32)))):
        with pytest.raises(ImageError, match="expected 8 or 16 bits per channel, got 32; convert it first"):
            load_image(refused)


@pytest.mark.parametrize("load", [load_image, load_label])
def test_files_that_are_no_images_are_one_clear_error(tmp_path, load):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("not an image")
    (tmp_path / "folder.png").mkdir()
    for name, words in {
        "missing.png": "does not exist",
        "empty.png": "is empty",
        "text.jpg": "is not an image",
        "folder.png": "is a folder",
    }.items():
        with pytest.raises(ImageError, match=f"{name} {words}") as caught:
            load(tmp_path / name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.bmp", "a.tiff", "a.webp"])
def test_a_file_that_was_cut_off_is_an_error(tmp_path, name):
    noise = np.random.default_rng(0).integers(0, 256, (37, 53, 3), np.uint8)
    path = save(tmp_path / name, Image.fromarray(noise))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ImageError, match=name):
        load_image(path)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow also warns of what it then raises
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_with_wrong_bytes_gives_an_image_or_an_image_error(tmp_path, data):
    name = data.draw(st.sampled_from(["a.jpg", "a.png", "a.bmp", "a.tiff", "a.webp", "a.gif"]))
    path = save(tmp_path / name, Image.fromarray(PIXELS))
    content = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        image = load_image(path)
    except ImageError:
        return
    assert image.dtype == np.uint8
    assert image.shape[2:] == (3,)


def test_an_image_past_the_limit_of_pixels_is_an_error(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png", Image.fromarray(PIXELS))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2)  # 6 pixels are more than twice that, where Pillow refuses
    with pytest.raises(ImageError, match="too large"):
        load_image(path)


def test_pixels_are_the_same_without_the_copy_that_makes_them_writable(tmp_path):
    pixels = np.arange(6 * 5 * 3, dtype=np.uint8).reshape(6, 5, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    own, lent = load_image(tmp_path / "a.png"), load_image(tmp_path / "a.png", writable=False)
    assert np.array_equal(own, pixels)
    assert np.array_equal(lent, pixels)
    assert (own.flags.writeable, lent.flags.writeable) == (True, False)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("a.tif", {"compression": "jpeg"}, "a TIFF of JPEGs"),
        ("a.webp", {"quality": 90}, "a WebP with loss"),
        ("a.webp", {"quality": 90, "icc_profile": b"odd"}, "a WebP with loss"),
        ("a.webp", {"quality": 90, "save_all": True, "append_images": [Image.new("RGB", (7, 5))]}, "a WebP with loss"),
        ("a.jp2", {}, "a JPEG 2000"),
    ],
)
def test_label_maps_that_lose_pixels_are_refused_whatever_their_suffix(tmp_path, name, options, words):
    path = save(tmp_path / name, Image.new("L", (7, 5), 1), **options)
    with pytest.raises(LabelError, match=f"is {words}, whose loss changes labels; save label maps as PNG"):
        load_label(path)


@pytest.mark.parametrize("options", [{}, {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"}, {"save_all": True}])
def test_a_webp_without_loss_is_a_label_map(tmp_path, options):
    labels = np.arange(35, dtype=np.uint8).reshape(5, 7)
    if "save_all" in options:
        options = options | {"append_images": [Image.new("RGB", (7, 5))]}
    path = save(tmp_path / "a.webp", Image.fromarray(labels).convert("RGB"), lossless=True, **options)
    assert load_label(path, {}).tolist() == labels.tolist()
