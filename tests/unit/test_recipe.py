from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from fcn_deploy.errors import CheckpointError, RecipeError
from fcn_deploy.model_file import RECIPES
from fcn_deploy.models.registry import MODELS
from fcn_deploy.recipe import Published, load_recipe, resolve_checkpoint
from fcn_deploy.vocabulary import Profile
from tests.support.locked_folder import lock

SHIPPED = sorted(RECIPES.glob("*.toml"))
LEAST = 'name = "n"\ncheckpoint = "net.pth"\nurl = "https://example.org/net.pth"\n'
CONTENT = b"weights"


def written(folder: Path, text: str) -> Path:
    (folder / "net.toml").write_text(text)
    return folder / "net.toml"


def refused(folder: Path, text: str) -> str:
    with pytest.raises(RecipeError) as caught:
        load_recipe(written(folder, text))
    assert "\n" not in str(caught.value)
    assert str(folder / "net.toml") in str(caught.value)
    return str(caught.value)


def test_every_field_is_read_in_its_type(tmp_path: Path):
    recipe = load_recipe(
        written(
            tmp_path,
            LEAST + 'model = "fcn8s"\nsha256_prefix = "397923AF"\nclasses = ["a", "b"]\nmean = [1, 2.5, 3]\n'
            'std = [1, 1, 1]\nchannel_order = "BGR"\nkeep_float = ["score_fr"]\nnotes = "x"\n'
            "[shapes]\nmin = [1, 2, 3]\nopt = [2, 4, 6]\nmax = [4, 8, 12]\n"
            '[[published]]\nmetric = "mIoU, %"\nvalue = 60\ndataset = "d"\nsource = "s"\n',
        )
    )
    assert recipe.sha256_prefix == "397923af"
    assert recipe.classes == ("a", "b")
    assert recipe.keep_float == ("score_fr",)
    assert recipe.shapes == Profile((1, 2, 3), (2, 4, 6), (4, 8, 12))
    assert recipe.published == (Published("mIoU, %", 60.0, "d", "s"),)
    changes = recipe.card_changes()
    assert (changes["mean"], changes["channel_order"]) == ((1.0, 2.5, 3.0), "BGR")


def test_what_a_recipe_does_not_say_stays_as_the_model_has_it(tmp_path: Path):
    assert set(load_recipe(written(tmp_path, LEAST)).card_changes()) == {"notes"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('modle = "fcn8s"', "unknown key 'modle'; did you mean model?"),
        ("model = 8", "model is 8; expected text"),
        ('md5 = "xyz"', "md5 is 'xyz'; expected 32 hexadecimal digits"),
        ('sha256 = "397923af"', "sha256 is '397923af'; expected 64 hexadecimal digits"),
        ('classes = "a"', "classes is 'a'; expected a list"),
        ('classes = ["a", "a"]', "classes: class name 'a' appears at 0 and again at 1"),
        ("mean = [1, 2]", "mean is [1, 2]; expected a list of 3"),
        ('std = [1, "2", 3]', "std[1] is '2'; expected a finite number"),
        (
            "mean = [0.485, 0.456, 0.406]",
            "mean is [0.485, 0.456, 0.406]; expected units of 0 to 255: 123.675, 116.28, 103.53",
        ),
        ("std = [0.5, 0.5, 0.5]", "std is [0.5, 0.5, 0.5]; expected units of 0 to 255: 127.5, 127.5, 127.5"),
        ("mean = [1, nan, 3]", "mean[1] is nan; expected a finite number"),
        ('channel_order = "GBR"', "channel_order is 'GBR'; expected RGB or BGR"),
        ("shapes = 3", "shapes is 3; expected a table"),
        ("[shapes]\nmin = [1, 2, 3]", "shapes: missing opt, max"),
        (
            "[shapes]\nmin = [1, 0, 3]\nopt = [1, 1, 1]\nmax = [1, 1, 1]",
            "shapes: profile 1x0x3 .. 1x1x1 .. 1x1x1: min 1x0x3 has a number below 1",
        ),
        (
            "[shapes]\nmin = [1, 9, 9]\nopt = [1, 8, 9]\nmax = [1, 9, 9]",
            "over 8 to 9; expected min <= opt <= max",
        ),
        (
            '[published]\nmetric = "m"\nvalue = "60"\ndataset = "d"\nsource = "s"',
            "published[0].value is '60'; expected a finite number",
        ),
    ],
)
def test_a_wrong_line_is_named_with_what_it_must_be(line: str, message: str, tmp_path: Path):
    assert message in refused(tmp_path, LEAST + line)


def test_a_checkpoint_is_a_file_name_so_that_a_recipe_can_be_moved(tmp_path: Path):
    assert "a file name without a folder" in refused(tmp_path, LEAST.replace("net.pth", "../net.pth", 1))


def test_missing_keys_are_listed(tmp_path: Path):
    assert "missing checkpoint" in refused(tmp_path, 'name = "n"')


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe\x00"])
def test_a_file_that_is_not_toml(content: bytes, tmp_path: Path):
    (tmp_path / "net.toml").write_bytes(content)
    with pytest.raises(RecipeError, match=r"net\.toml is not TOML"):
        load_recipe(tmp_path / "net.toml")


def test_a_missing_recipe_brings_the_names_near_it(tmp_path: Path):
    written(tmp_path, LEAST)
    with pytest.raises(RecipeError, match=r"did you mean net\.toml\?"):
        load_recipe(tmp_path / "nett.toml")


def test_the_checkpoint_is_taken_from_the_given_path_then_the_recipes_folder_then_the_current_one(
    tmp_path: Path, monkeypatch
):
    (tmp_path / "recipes").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    recipe = load_recipe(written(tmp_path / "recipes", LEAST))
    (tmp_path / "here" / "net.pth").write_bytes(CONTENT)
    assert resolve_checkpoint(recipe).resolve() == tmp_path / "here" / "net.pth"
    (tmp_path / "recipes" / "net.pth").write_bytes(CONTENT)
    assert resolve_checkpoint(recipe) == tmp_path / "recipes" / "net.pth"
    (tmp_path / "other.pth").write_bytes(CONTENT)
    assert resolve_checkpoint(recipe, tmp_path / "other.pth") == tmp_path / "other.pth"
    assert resolve_checkpoint(recipe, tmp_path / "here") == tmp_path / "here" / "net.pth"


def test_a_folder_that_may_not_be_entered_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    recipe = load_recipe(written(tmp_path, LEAST))
    (tmp_path / "shut").mkdir()
    lock(monkeypatch, tmp_path / "shut")
    with pytest.raises(CheckpointError, match=r"cannot read .*net\.pth: permission denied"):
        resolve_checkpoint(recipe, tmp_path / "shut" / "net.pth")
    with pytest.raises(RecipeError, match="cannot read the recipe"):
        load_recipe(tmp_path / "shut" / "deep" / "net.toml")


@pytest.mark.parametrize("given", [None, "weights.pth"])
def test_a_missing_checkpoint_says_where_to_fetch_it_and_where_to_put_it(given: str | None, tmp_path: Path):
    recipe = load_recipe(written(tmp_path, LEAST))
    place = tmp_path / (given or "net.pth")
    with pytest.raises(CheckpointError) as caught:
        resolve_checkpoint(recipe, tmp_path / given if given else None)
    assert str(place) in str(caught.value)
    assert "fetch it from https://example.org/net.pth and put it there" in str(caught.value)


def test_a_private_checkpoint_needs_no_address(tmp_path: Path):
    least = "".join(line for line in LEAST.splitlines(keepends=True) if "url" not in line)
    recipe = load_recipe(written(tmp_path, f'{least}md5 = "{"0" * 32}"\nmean = [0, 0, 0]\nstd = [1, 1, 1]\n'))
    assert recipe.mean == (0.0, 0.0, 0.0)
    with pytest.raises(CheckpointError, match=r"net\.pth is missing \(looked for .*\); put it there$"):
        resolve_checkpoint(recipe)
    (tmp_path / "net.pth").write_bytes(CONTENT)
    with pytest.raises(CheckpointError, match=r"fetch it again$"):
        resolve_checkpoint(recipe)


@pytest.mark.parametrize(
    "line",
    [
        f'sha256 = "{hashlib.sha256(CONTENT).hexdigest()}"',
        f'sha256_prefix = "{hashlib.sha256(CONTENT).hexdigest()[:8]}"',
        f'md5 = "{hashlib.md5(CONTENT).hexdigest()}"',
    ],
)
def test_another_file_under_the_name_is_identified_by_its_hash(line: str, tmp_path: Path):
    recipe = load_recipe(written(tmp_path, LEAST + line))
    (tmp_path / "net.pth").write_bytes(CONTENT)
    assert resolve_checkpoint(recipe) == tmp_path / "net.pth"
    (tmp_path / "net.pth").write_bytes(CONTENT + b"!")
    with pytest.raises(CheckpointError, match=r"is not the file that net\.toml is about: its (sha256|md5) starts with"):
        resolve_checkpoint(recipe)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_recipe_is_whole(path: Path):
    recipe = load_recipe(path)
    assert recipe.model is None or recipe.model in MODELS
    assert recipe.url.startswith("http")
    assert recipe.md5 or recipe.sha256_prefix
    assert recipe.published
    assert recipe.sha256_prefix is None or recipe.sha256_prefix in recipe.checkpoint


def test_there_is_a_recipe_for_every_public_checkpoint():
    assert {path.stem for path in SHIPPED} == {
        "fcn32s-voc", "fcn16s-voc", "fcn8s-voc", "fcn8s-atonce-voc",
        "fcn-resnet50-coco", "fcn-resnet101-coco", "deeplabv3-resnet50-coco", "deeplabv3-resnet101-coco",
        "vgg16-imagenet",
    }  # fmt: skip


def test_a_shipped_recipe_is_found_by_its_name_and_its_checkpoint_in_the_current_folder(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = load_recipe(Path("fcn8s-voc.toml"))
    assert recipe.path == RECIPES / "fcn8s-voc.toml"
    with pytest.raises(CheckpointError) as caught:
        resolve_checkpoint(recipe)
    assert f"is missing (looked for {tmp_path / 'fcn8s_from_caffe.pth'}); fetch it from http" in str(caught.value)
    (tmp_path / "fcn8s-voc.toml").write_text(LEAST)
    assert load_recipe(Path("fcn8s-voc.toml")).name == "n"
