"""Profiles are checked here, because the builder takes zeros and absurd sizes without an error."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fcn_deploy.card import ModelCard
from fcn_deploy.data.options import DataOptions
from fcn_deploy.engine_build.profiles import (
    DEFAULT,
    DYNAMIC,
    check_divisor,
    check_fixed,
    default_profile,
    given_profiles,
    in_multiples,
    profile_of_images,
)
from fcn_deploy.errors import EngineError
from fcn_deploy.graph.load import load_graph
from fcn_deploy.graph.sizes import fixed_dims
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.vocabulary import Profile
from tests.support.audit_graphs import int8_conv
from tests.support.masks import write_masks


def test_opt_alone_is_a_fixed_size_and_each_profile_needs_one_of_each():
    assert given_profiles([], [(2, 33, 47)], []) == (Profile((2, 33, 47), (2, 33, 47), (2, 33, 47)),)
    assert given_profiles([], [], []) == ()
    assert len(given_profiles([(1, 1, 1)] * 2, [(1, 2, 2)] * 2, [(1, 3, 3)] * 2)) == 2
    with pytest.raises(EngineError, match="--min was given 2 times, --opt 1 times and --max 1 times"):
        given_profiles([(1, 1, 1)] * 2, [(1, 2, 2)], [(1, 3, 3)])


def test_images_give_their_extremes_and_median_rounded_to_the_stride(tmp_path):
    for index, (height, width) in enumerate([(70, 20), (100, 47), (170, 300)]):
        Image.fromarray(np.full((height, width, 3), index, np.uint8)).save(tmp_path / f"{index}.png")
    profile = profile_of_images(None, DataOptions(str(tmp_path)), 4)
    # 70 -> 64, 100 -> 96, 170 -> 192; 20 is below a stride and stays, 47 -> 32 (47 / 32 = 1.47), 300 -> 320.
    assert profile == Profile((1, 64, 20), (1, 96, 32), (4, 192, 320))


def test_a_list_gives_its_sizes_whatever_its_labels_are(tmp_path):
    write_masks(tmp_path, (0, 7, 9), size=(64, 96))
    (tmp_path / "list.txt").write_text("".join(f"images/{index}.png masks/{index}.png\n" for index in range(3)))
    card = ModelCard("fcn8s", ("road", "sky"))
    for classes in (None, "\n".join("abcdefghijk")):
        if classes:
            (tmp_path / "classes.txt").write_text(classes)
        profile = profile_of_images(card, DataOptions(tmp_path / "list.txt"), 2)
        assert profile == Profile((1, 64, 96), (1, 64, 96), (2, 64, 96))


def test_what_the_file_fixes_wins_and_a_profile_next_to_it_is_refused(tmp_path):
    fixed = fixed_dims(load_graph(int8_conv(tmp_path / "m.onnx")))
    assert fixed == (1, 16, 16)
    profile, _ = default_profile(None, fixed, None)
    assert profile == Profile((1, 16, 16), (1, 16, 16), (1, 16, 16))
    check_fixed([profile], fixed)
    with pytest.raises(EngineError, match="varies H, which the file fixes at 16"):
        check_fixed([Profile((1, 16, 16), (1, 16, 16), (1, 32, 16))], fixed)


def test_the_sizes_of_a_recipe_come_before_the_default_in_any_case_of_letters(tmp_path):
    path = tmp_path / "R.TOML"
    path.write_text(
        'name = "n"\nmodel = "fcn8s"\ncheckpoint = "c.pth"\nurl = "https://example.org/c.pth"\n'
        "[shapes]\nmin = [1, 240, 320]\nopt = [1, 500, 500]\nmax = [4, 512, 512]\n"
    )
    recipe = ModelSource(path).recipe
    assert default_profile(recipe, DYNAMIC, None) == (
        Profile((1, 240, 320), (1, 500, 500), (4, 512, 512)),
        "from R.TOML",
    )
    assert default_profile(recipe, DYNAMIC, 9)[0].max == (9, 512, 512)
    assert default_profile(ModelSource("demo").recipe, DYNAMIC, None) == (DEFAULT, "the default")


def test_sides_that_the_model_does_not_take_are_rounded_or_refused():
    assert in_multiples(DEFAULT, 1) == DEFAULT
    assert in_multiples(DEFAULT, 64) == Profile((1, 64, 64), (1, 384, 512), (1, 1088, 1920))
    check_divisor([in_multiples(DEFAULT, 64)], 64)
    with pytest.raises(EngineError, match="has a side of 360; the model takes sides that are multiples of 32"):
        check_divisor([DEFAULT], 32)
