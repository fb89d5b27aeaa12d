"""Reading network sizes, and the size that an image gets by one."""

from __future__ import annotations

from fractions import Fraction

import pytest

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import RecipeError, ShapeError
from fcn_deploy.network_size import NetworkSize


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("512x1024", "512x1024"),
        (" 512X1024 ", "512x1024"),
        ("longest:1024", "longest:1024"),
        ("0.50", "0.5"),
        ("2", "2"),
        ("0.333333333", "0.333333333"),
        ("1", ""),
        ("", ""),
    ],
)
def test_a_size_is_written_as_it_is_read(text, written):
    assert NetworkSize.parse(text).text == written
    assert NetworkSize.parse(written) == NetworkSize.parse(text)


@pytest.mark.parametrize(
    "text",
    ["0", "0.0", "-1", "4.01", "0x512", "512x", "512x512x3", "longest:0", "longest:", "longest:0.5", "half", "1e-1"],
)
def test_what_is_no_size_is_refused_with_what_is_one(text):
    with pytest.raises(ShapeError, match=r"512x1024|360x480"):
        NetworkSize.parse(text)


@pytest.mark.parametrize(
    ("text", "image", "size"),
    [
        ("512x1024", (7, 9), (512, 1024)),
        ("0.5", (45, 64), (23, 32)),  # half of a pixel goes upwards
        ("0.5", (1, 1), (1, 1)),
        ("0.35", (10, 30), (4, 11)),  # 3.5 and 10.5, which binary fractions would round down
        ("longest:80", (120, 160), (60, 80)),
        ("longest:80", (10, 3), (80, 24)),  # smaller images are enlarged
        ("longest:80", (1, 1000), (1, 80)),
    ],
)
def test_the_size_of_an_image(text, image, size):
    assert NetworkSize.parse(text).of(image) == size


def test_sides_are_multiples_of_what_the_network_divides_by():
    assert NetworkSize(factor=Fraction(1, 2)).of((100, 210), divisor=32) == (64, 96)
    assert NetworkSize(longest=100).of((100, 210), divisor=32) == (32, 96)


def test_a_card_keeps_the_size_and_refuses_another_text():
    card = ModelCard("fcn8s", ("a", "b"), network_size="0.5")
    assert ModelCard.from_json(card.to_json(), "m.onnx").sizing == NetworkSize(factor=Fraction(1, 2))
    assert ModelCard("fcn8s", ("a", "b")).sizing is None
    with pytest.raises(
        RecipeError, match=r"m.onnx: the model card cannot be read: network_size.*'big' is not a network"
    ):
        ModelCard.from_json(card.to_json().replace("0.5", "big"), "m.onnx")


def test_a_factor_above_one_is_said_to_enlarge_every_image():
    assert NetworkSize.parse("1.5").enlarging == (
        "note: a network size of 1.5 enlarges every image, which costs 2.25 times the work and shows the network "
        "nothing new"
    )
    for text in ("", "1", "0.5", "longest:9999", "4000x4000"):  # of a fixed size it depends on the image
        assert not NetworkSize.parse(text).enlarging
