"""Label maps of a program of its own (NumPy, ONNX Runtime, Pillow) with one slip, or two: `diagnose` names them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image

from benchmarks import slips
from fcn_deploy.cli.commands.diagnose import command
from fcn_deploy.data.dataset import open_dataset
from fcn_deploy.data.options import DataOptions
from fcn_deploy.diagnosis.slips.explain import CutReference, explain_labels, open_reference
from fcn_deploy.diagnosis.slips.report import SAME, SlipReport
from fcn_deploy.errors import DataError
from fcn_deploy.models.network import load_network
from fcn_deploy.onnx_export.export import export_model
from fcn_deploy.quantization.quantize import quantize

Array = NDArray[Any]
HEIGHT, WIDTH = 96, 128


class Program:
    """What a user writes around a network whose input is a normalised float image."""

    def __init__(self, path: Path, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        self.mean, self.std = np.array(mean, np.float32), np.array(std, np.float32)

    def logits(self, image: Array, values: Callable[[Array], Array] | None = None) -> Array:
        """float32[C, H, W] of RGB [H, W, 3] in 0..255."""
        wide = np.asarray(image, np.float32)
        x = (wide - self.mean) / self.std if values is None else values(wide)
        name = self._session.get_inputs()[0].name
        return self._session.run(["logits"], {name: np.ascontiguousarray(x.transpose(2, 0, 1)[None], np.float32)})[0][0]

    def labels(self, image: Array, values: Callable[[Array], Array] | None = None) -> Array:
        return self.logits(image, values).argmax(0).astype(np.uint8)


def resized(image: Array, height: int, width: int, how: Image.Resampling) -> Array:
    return np.array(Image.fromarray(np.ascontiguousarray(image)).resize((width, height), how))


def through_size(p: Program, image: Array, height: int, width: int, how: Image.Resampling) -> Array:
    return resized(p.labels(resized(image, height, width, how)), *image.shape[:2], Image.Resampling.NEAREST)


def through_jpeg(image: Array, quality: int) -> Array:
    stream = BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return np.array(Image.open(stream))


def in_square(image: Array, colour: int) -> Array:
    square = np.full((WIDTH, WIDTH, 3), colour, np.uint8)
    top = (WIDTH - HEIGHT) // 2
    square[top : top + HEIGHT] = image
    return square


def half_a_pixel(image: Array) -> Array:
    wide = np.pad(image.astype(np.float32), ((1, 0), (1, 0), (0, 0)), "edge")
    return ((wide[1:, 1:] + wide[:-1, 1:] + wide[1:, :-1] + wide[:-1, :-1]) / 4).round().astype(np.uint8)


NEAREST = Image.Resampling.NEAREST
IDS = np.array([3, 0, 2, 1, 4, 6, 7, 5], np.uint8)
# The words that the name must have, and the program.
ALONE: dict[str, Callable[[Program, Array], Array]] = {
    "channels swapped (BGR)": lambda p, x: p.labels(x[..., ::-1]),
    "HWC bytes read as CHW": lambda p, x: p.labels(
        np.ascontiguousarray(x).reshape(-1).reshape(3, *x.shape[:2]).transpose(1, 2, 0)
    ),
    "mean missing": lambda p, x: p.labels(x, lambda v: v / p.std),
    "std missing": lambda p, x: p.labels(x, lambda v: v - p.mean),
    "mean and std missing": lambda p, x: p.labels(x, lambda v: v),
    "mean and std missing, values in 0..1": lambda p, x: p.labels(x, lambda v: v / 255),
    "mean 0.5 and std 0.5": lambda p, x: p.labels(x, lambda v: (v / 255 - 0.5) / 0.5),
    "half": lambda p, x: through_size(p, x, HEIGHT // 2, WIDTH // 2, NEAREST),
    "half (every second": lambda p, x: p.labels(x[::2, ::2]).repeat(2, 0).repeat(2, 1),
    "swapped (nearest)": lambda p, x: through_size(p, x, WIDTH, HEIGHT, NEAREST),
    "half a pixel (down and right)": lambda p, x: p.labels(half_a_pixel(x)),
    "letterbox not cut off (longer side, grey)": lambda p, x: resized(
        p.labels(in_square(x, 114)), HEIGHT, WIDTH, NEAREST
    ),
    "letterbox not cut off (longer side, black)": lambda p, x: resized(
        p.labels(in_square(x, 0)), HEIGHT, WIDTH, NEAREST
    ),
    "mirrored left to right": lambda p, x: p.labels(np.fliplr(x)),
    "mirrored top to bottom": lambda p, x: p.labels(np.flipud(x)),
    "rotated by 90": lambda p, x: p.labels(np.rot90(x)),
    "rotated by 180": lambda p, x: p.labels(np.rot90(x, 2)),
    "rotated by 270": lambda p, x: p.labels(np.rot90(x, 3)),
    "H and W swapped (transposed)": lambda p, x: p.labels(np.swapaxes(x, 0, 1)),
    "JPEG of quality 30": lambda p, x: p.labels(through_jpeg(x, 30)),
    "[H, W, C]": lambda p, x: p.logits(x).reshape(HEIGHT, WIDTH, -1).argmax(-1).astype(np.uint8),
    "over the rows": lambda p, x: p.logits(x).argmax(-2).astype(np.uint8),
    "over the columns": lambda p, x: p.logits(x).argmax(-1).astype(np.uint8),
    "one too high": lambda p, x: p.labels(x) + 1,
    "one too low": lambda p, x: p.labels(x) - np.uint8(1),
    "permuted": lambda p, x: IDS[p.labels(x)],
    "shifted by 2 px down and 4 px right": lambda p, x: np.roll(p.labels(x), (2, 4), (0, 1)),
    "written with H and W swapped": lambda p, x: p.labels(x).reshape(WIDTH, HEIGHT),
}
PAIRS: dict[tuple[str, str], Callable[[Program, Array], Array]] = {
    ("BGR", "left to right"): lambda p, x: p.labels(x[:, ::-1, ::-1]),
    ("BGR", "one too high"): lambda p, x: p.labels(x[..., ::-1]) + 1,
    ("BGR", "mean missing"): lambda p, x: p.labels(x[..., ::-1], lambda v: v / p.std),
    ("rotated by 180", "permuted"): lambda p, x: IDS[p.labels(np.rot90(x, 2))],
    ("rotated by 90", "BGR"): lambda p, x: p.labels(np.rot90(x)[..., ::-1]),
    ("half", "BGR"): lambda p, x: through_size(p, x[..., ::-1], HEIGHT // 2, WIDTH // 2, NEAREST),
}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    network, card = load_network("demo")
    path = tmp_path_factory.mktemp("program") / "float.onnx"
    export_model(network, card, path, input_kind="float", outputs=("labels", "logits"))
    assert card.channel_order == "RGB"
    return Program(path, card.mean, card.std)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for index, sample in enumerate(open_dataset(f"synthetic:3:5:{HEIGHT}x{WIDTH}")):
        Image.fromarray(sample.image).save(folder / f"{index:03}.png")
    return folder


def write_maps(photos: Path, folder: Path, label: Callable[[Array], Array]) -> Path:
    folder.mkdir()
    for path in photos.iterdir():
        Image.fromarray(label(np.array(Image.open(path)))).save(folder / f"{path.stem}.png")
    return folder


@pytest.fixture(scope="module")
def reference(demo_onnx: Path) -> Iterator[CutReference]:
    """The demo, which runs once on each image whatever the number of programs."""
    with open_reference(demo_onnx) as opened:
        yield opened


def named(reference: CutReference, photos: Path, folder: Path, label: Callable[[Array], Array]) -> SlipReport:
    return reference.explain(write_maps(photos, folder, label), DataOptions(photos), frames=3)


def in_turn(cases: Iterable[Any], every: int) -> list[Any]:
    """Return the cases, of which all but every so many-th are long."""
    return [
        pytest.param(
            case,
            marks=pytest.mark.long if index % every else [],
            id=case if isinstance(case, str) else " and ".join(case),
        )
        for index, case in enumerate(cases)
    ]


@pytest.mark.parametrize("name", in_turn(ALONE, 3))
def test_one_slip_is_named(name: str, program: Program, reference: CutReference, photos: Path, tmp_path: Path):
    found = named(reference, photos, tmp_path / "maps", lambda image: ALONE[name](program, image))
    assert found.verdict == "explained", found
    assert name in found.tried[0].name
    assert len(found.tried[0].fixes) == 1


@pytest.mark.parametrize("names", in_turn(PAIRS, 3))
def test_two_slips_are_named(
    names: tuple[str, str], program: Program, reference: CutReference, photos: Path, tmp_path: Path
):
    found = named(reference, photos, tmp_path / "maps", lambda image: PAIRS[names](program, image))
    assert found.verdict == "explained", found
    assert all(name in found.tried[0].name for name in names), found.tried[:3]
    assert len(found.tried[0].fixes) == 2


STEPS: dict[str, Callable[[Array], Array]] = {  # of the image
    "BGR": lambda x: x[..., ::-1],
    "left to right": np.fliplr,
    "top to bottom": np.flipud,
    "rotated by 90": np.rot90,
    "rotated by 180": lambda x: np.rot90(x, 2),
    "transposed": lambda x: np.swapaxes(x, 0, 1),
}
BEHIND: dict[str, Callable[[Array], Array]] = {  # of the labels
    "one too high": lambda labels: labels + 1,
    "permuted": lambda labels: IDS[labels],
    "shifted by": lambda labels: np.roll(labels, (-3, 2), (0, 1)),
}
MANY = [("BGR", other) for other in STEPS if other != "BGR"]
MANY += [(step, behind) for step in STEPS for behind in BEHIND]


@pytest.mark.long
def test_pairs_of_an_int8_program_are_named(demo_onnx: Path, reference: CutReference, photos: Path, tmp_path: Path):
    int8 = tmp_path / "demo.int8.onnx"
    quantize(demo_onnx, int8, calibration=DataOptions("synthetic:6:1:96x128", split="train"), precision="int8")
    session = onnxruntime.InferenceSession(str(int8), providers=["CPUExecutionProvider"])

    def label(image: Array, names: tuple[str, str]) -> Array:
        for name in names:
            image = STEPS[name](image) if name in STEPS else image
        labels = session.run(["labels"], {"image": np.ascontiguousarray(image)[None]})[0][0]
        return BEHIND[names[1]](labels) if names[1] in BEHIND else labels

    wrong, missed = [], []
    for index, names in enumerate(MANY):
        found = named(reference, photos, tmp_path / str(index), lambda image, names=names: label(image, names))
        right = all(name in found.tried[0].name for name in names)
        wrong += [(names, found.tried[0].name)] if found.verdict == "explained" and not right else []
        missed += [names] if found.verdict != "explained" else []
    assert wrong == []
    assert len(missed) <= len(MANY) // 20, missed


@pytest.mark.long
def test_the_mistakes_of_an_int8_program_are_named_on_camvid(camvid: Path):
    network = os.environ.get("FCN_DEPLOY_CAMVID_NETWORK", "")
    if not Path(network).is_file():
        pytest.skip("FCN_DEPLOY_CAMVID_NETWORK names no checkpoint that was trained on CamVid")
    rows, _ = slips.measure(network, "demo", str(camvid / "val.txt"), str(camvid / "train.txt"), 6, 24, 20)
    assert [row for row in rows if row["outcome"] == "wrong"] == []
    told = [row for row in rows if row["programs"] != "no mistake" and row["one label"] < SAME]
    assert sum(row["outcome"].startswith("right") for row in told) >= 0.95 * len(told)


def test_the_reference_has_no_slip(program: Program, reference: CutReference, photos: Path, tmp_path: Path):
    found = named(reference, photos, tmp_path / "maps", program.labels)
    assert (found.verdict, round(found.as_they_are, 3)) == ("same", 1.0)


@pytest.mark.parametrize("what", ["noise", "one label", "the truth of other images"])
def test_other_label_maps_are_unexplained(what: str, reference: CutReference, photos: Path, tmp_path: Path):
    generator = np.random.default_rng(0)
    others = iter(open_dataset(f"synthetic:3:77:{HEIGHT}x{WIDTH}"))
    makers: dict[str, Callable[[Array], Array]] = {
        "noise": lambda x: generator.integers(0, 8, x.shape[:2]).astype(np.uint8),
        "one label": lambda x: np.zeros(x.shape[:2], np.uint8),
        "the truth of other images": lambda x: next(others).label,
    }
    found = named(reference, photos, tmp_path / "maps", makers[what])
    assert found.verdict == "unexplained", found.tried[:2]


def test_one_label_everywhere_is_no_proof(program: Program, reference: CutReference, photos: Path, tmp_path: Path):
    def label(image: Array) -> Array:
        return program.labels(image, lambda v: (v / 255 - program.mean) / program.std)

    found = named(reference, photos, tmp_path / "maps", label)
    assert (found.verdict, found.one_label) == ("unexplained", 1.0)
    assert found.tried[0].share == 1.0
    assert "values in 0..1 for 0..255" in [entry.name for entry in found.tried]


def test_maps_of_the_networks_size(program: Program, reference: CutReference, photos: Path, tmp_path: Path):
    def label(image: Array) -> Array:
        return program.labels(resized(image, 64, 64, NEAREST))

    found = named(reference, photos, tmp_path / "maps", label)
    assert found.label_size == (64, 64)
    assert found.tried[0].name == "resized to the label maps' 64x64 (nearest)"


def test_a_stored_orientation_that_was_ignored(program: Program, demo_onnx: Path, photos: Path, tmp_path: Path):
    turned, maps = tmp_path / "turned", tmp_path / "maps"
    turned.mkdir()
    maps.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    for path in photos.iterdir():
        stored = np.rot90(np.array(Image.open(path)))
        Image.fromarray(stored).save(turned / path.name, exif=exif)
        Image.fromarray(program.labels(stored)).save(maps / path.name)
    found = explain_labels(demo_onnx, maps, str(turned), frames=2)
    assert found.verdict == "explained"
    assert found.tried[0].name == "EXIF orientation ignored"


def test_another_file(demo_onnx: Path, photos: Path, tmp_path: Path, small_onnx: Path):
    session = onnxruntime.InferenceSession(str(small_onnx), providers=["CPUExecutionProvider"])
    maps = write_maps(photos, tmp_path / "maps", lambda x: session.run(["labels"], {"image": x[None]})[0][0])
    assert explain_labels(demo_onnx, maps, str(photos), frames=2).verdict == "unexplained"
    found = explain_labels(demo_onnx, maps, str(photos), others=[small_onnx], frames=2)
    assert (found.verdict, found.tried[0].name) == ("explained", f"another file ({small_onnx})")


@pytest.mark.long
def test_an_int8_program_and_the_command(demo_onnx: Path, photos: Path, tmp_path: Path):
    int8 = tmp_path / "demo.int8.onnx"
    quantize(demo_onnx, int8, calibration=DataOptions("synthetic:6:1:96x128", split="train"), precision="int8")
    session = onnxruntime.InferenceSession(str(int8), providers=["CPUExecutionProvider"])

    def label(image: Array) -> Array:
        swapped = np.ascontiguousarray(image[..., ::-1])
        return session.run(["labels"], {"image": swapped[None]})[0][0]

    maps = write_maps(photos, tmp_path / "maps", label)
    arguments = [str(demo_onnx), "--labels-from", str(maps), "--data", str(photos)]
    shown = CliRunner().invoke(command, arguments)
    assert shown.exit_code == 3, shown.output
    assert shown.stdout.startswith("explained by: channels swapped (BGR), 9")
    refused = CliRunner().invoke(command, [*arguments, "--tolerance", "int8.labels=2"])
    assert (refused.exit_code, "--tolerance is not for --labels-from" in refused.output) == (2, True)
    plain = json.loads(CliRunner().invoke(command, [*arguments, "--json", "-"]).stdout)
    assert plain["explained_by"] == "channels swapped (BGR)"
    assert plain["frames"] == 3


def test_maps_of_other_names(demo_onnx: Path, photos: Path, tmp_path: Path):
    write_maps(photos, tmp_path / "maps", lambda x: x[..., 0])
    for path in (tmp_path / "maps").iterdir():
        path.rename(path.with_name(f"other{path.name}"))
    with pytest.raises(DataError, match=r"no label map in .* is named as one of the 3 images"):
        explain_labels(demo_onnx, tmp_path / "maps", str(photos))
    with pytest.raises(DataError, match="is no folder"):
        explain_labels(demo_onnx, tmp_path / "none", str(photos))
