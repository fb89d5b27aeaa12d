"""Read a recipe: one TOML file per public checkpoint, with the facts that its weights do not say.

The package ships one for each public checkpoint in recipes/; `fcn8s-voc.toml` names it from any folder.

    name = "FCN-8s, Pascal VOC"
    model = "fcn8s-caffe"
    checkpoint = "fcn8s_from_caffe.pth"
    url = "https://..."
    md5 = "de93e540ec79512f8770033849c8ae89"

    [shapes]                     # N, H, W
    min = [1, 240, 320]
    opt = [1, 500, 500]
    max = [4, 512, 512]

    [[published]]
    metric = "mean IU, %"
    value = 65.5
    dataset = "..."
    source = "https://..."

Nothing is downloaded: a missing checkpoint is an error that says where it can be fetched.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fcn_deploy.card import ChannelOrder, ClassNames, Pixels
from fcn_deploy.errors import CheckpointError, RecipeError
from fcn_deploy.model_file import RECIPES, file_of, kind_of, near_models
from fcn_deploy.system.apart import reads
from fcn_deploy.system.files import digest, reading
from fcn_deploy.system.serialization.decode import Filled, decode, matching
from fcn_deploy.system.serialization.toml import read_toml
from fcn_deploy.vocabulary import Profile

FileName = Annotated[str, matching(r"(?!\.{1,2}$)[^/\\]+", "a file name without a folder")]


@dataclass(frozen=True)
class Published:
    """A result that others published for a checkpoint."""

    metric: Filled
    value: float
    dataset: Filled
    source: Filled


@dataclass(frozen=True)
class Recipe:
    """What is known of one checkpoint.

    Attributes:
        path: the recipe's own file.
        name: for people.
        checkpoint: file name of the weights.
        url: where they can be fetched; "" if they are not public.
        model: name in the model registry; None for a classifier, which only starts a training (`train --init`).
        sha256, sha256_prefix, md5: whichever is published, lower-case hexadecimal.
        weights: which state dict of the checkpoint: model, ema (averaged) or a key path.
        classes: class names, if they are not those of Pascal VOC.
        mean, std, channel_order: where they differ from the model's own; in units of 0..255.
        keep_float: ONNX nodes to keep out of INT8.
        shapes: sizes that a deployment might serve; advice, not a limit of the model.
        published: results that others measured.
        notes: anything else worth knowing.
    """

    path: Path
    name: Filled
    checkpoint: FileName
    url: str = ""
    model: Filled | None = None
    sha256: Annotated[str, str.lower, matching("[0-9a-f]{64}", "64 hexadecimal digits")] | None = None
    sha256_prefix: Annotated[str, str.lower, matching("[0-9a-f]{6,64}", "6 to 64 hexadecimal digits")] | None = None
    md5: Annotated[str, str.lower, matching("[0-9a-f]{32}", "32 hexadecimal digits")] | None = None
    weights: Filled | None = None
    classes: ClassNames | None = None
    mean: Pixels | None = None
    std: Pixels | None = None
    channel_order: ChannelOrder | None = None
    keep_float: tuple[str, ...] = ()
    shapes: Profile | None = None
    published: tuple[Published, ...] = ()
    notes: str = ""

    def card_changes(self) -> dict[str, Any]:
        """Return the fields of the checkpoint's model card that this recipe sets."""
        overrides = {key: getattr(self, key) for key in ("mean", "std", "channel_order")}
        notes = {"recipe": self.name, "checkpoint": self.checkpoint, "url": self.url}
        return {key: value for key, value in overrides.items() if value is not None} | {"notes": notes}


def load_recipe(path: Path) -> Recipe:
    """Read and check a recipe; the name of a shipped one will do.

    Raises:
        RecipeError: it cannot be read, is not TOML, or has an unknown key (with a near match), a missing one, or a
            value of the wrong kind.
    """
    path = file_of(path)
    try:
        raw = read_toml(path)
    except OSError as error:
        raise RecipeError(f"cannot read the recipe {path}: {error.strerror or error}{near_models(path)}") from error
    except ValueError as error:
        raise RecipeError(f"{path} is not TOML: {error}") from error
    if isinstance(raw.get("published"), dict):  # [published] for a single one
        raw["published"] = [raw["published"]]
    return decode(Recipe, raw, str(path), RecipeError, strict=True, given={"path": path})


def resolve_checkpoint(recipe: Recipe, given: Path | None = None) -> Path:
    """Find the checkpoint of `recipe`, and compare its hash with the recipe's.

    Looked for at `given` (the file, or the folder that has it); without it next to the recipe (unless that is a shipped
    one), then in the current folder.

    Raises:
        CheckpointError: it is nowhere (the message says where to fetch it), or its hash differs.
    """
    own = [] if recipe.path.parent == RECIPES else [recipe.path.parent]
    folders = [*own, Path.cwd()] if given is None else [given]
    with reading(given or recipe.path.parent, CheckpointError):
        places = [place / recipe.checkpoint if place.is_dir() else place for place in folders]
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            looked = " and ".join(dict.fromkeys(str(place) for place in places))
            source = f"fetch it from {recipe.url} and put it there" if recipe.url else "put it there"
            raise CheckpointError(f"{recipe.checkpoint} is missing (looked for {looked}); {source}")
        _check_hash(recipe, found)
    reads(found)
    return found


def checkpoint_of(path: Path) -> Path:
    """Return the checkpoint of a recipe, found as by `resolve_checkpoint`; any other path as it is."""
    return resolve_checkpoint(load_recipe(path)) if kind_of(path) == "recipe" else path


def _check_hash(recipe: Recipe, found: Path) -> None:
    for algorithm, expected in (("sha256", recipe.sha256 or recipe.sha256_prefix), ("md5", recipe.md5)):
        actual = digest(found, algorithm) if expected else ""
        if expected and not actual.startswith(expected):
            raise CheckpointError(
                f"{found} is not the file that {recipe.path.name} is about: its {algorithm} starts with {actual[:16]}, "
                f"not {expected[:16]}; fetch it again{f' from {recipe.url}' if recipe.url else ''}"
            )
