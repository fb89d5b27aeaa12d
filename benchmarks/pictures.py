"""Pictures of the demo model on generated scenes for the docs: `python -m benchmarks.pictures` (`make docs`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fcn_deploy import load
from fcn_deploy.data.sample import Sample
from fcn_deploy.data.synthetic.dataset import SYNTHETIC_PALETTE, SyntheticDataset
from fcn_deploy.data.writing import label_image, save_image
from fcn_deploy.page.scale import Scale

DOCS = Path(__file__).parent.parent / "docs"
IMAGES = DOCS / "images"
# The demo's validation scenes: it has not been trained on them.
SCENES = SyntheticDataset(count=50, seed=2)
SHOWN = (3, 17, 29)
GAP, APART, OVERLAY, QUALITY = 4, 3, 0.5, 85
# The overview: a scene, its labels and the rows of the run that docs/bench.md quotes.
OVERVIEW, FIRST = "overview.jpg", 29
WIDTH, HEIGHT, PHOTO = 1240, 330, (352, 264)
INK, FAINT, RULE, COLOUR = "#1f2328", "#59636e", "#dfe3e8", "#0b6bcb"
LIMIT = -0.3  # points of mIoU, as in the command's last line


@dataclass(frozen=True)
class Point:
    """One row of a run: how many times as fast as PyTorch, and points of mIoU gained."""

    runner: str
    times: float
    points: float


def strips() -> dict[str, Image.Image]:
    """File name -> one scene each: image, truth, the demo's labels, and those over the scene."""
    model = load("demo")
    return {
        f"scene{place}.jpg": strip(SCENES[index], model(SCENES[index].image)) for place, index in enumerate(SHOWN, 1)
    }


def strip(sample: Sample, labels: NDArray[Any]) -> Image.Image:
    """Join the four side by side, white between them."""
    assert sample.label is not None
    image = Image.fromarray(sample.image)
    truth, found = (label_image(each, SYNTHETIC_PALETTE).convert("RGB") for each in (sample.label, labels))
    parts = [image, truth, found, Image.blend(image, found, OVERLAY)]
    whole = Image.new("RGB", (len(parts) * (image.width + GAP) - GAP, image.height), "white")
    for place, part in enumerate(parts):
        whole.paste(part, (place * (image.width + GAP), 0))
    return whole


def quoted_run() -> str:
    """Return the first output of `bench` in docs/bench.md."""
    found = re.search(r"^```\n(ship .*?)^```$", (DOCS / "bench.md").read_text("utf-8"), re.M | re.S)
    assert found is not None
    return found[1]


def points(run: str) -> list[Point]:
    """Return the timed rows of the first table that `bench` printed: name, status, ms, times, mIoU, change, labels."""
    table = re.split(r"^─+$", run.split("\nrunner ")[1], flags=re.M)[1].strip().split("\n\n")[0]
    rows = [line.split() for line in table.splitlines()]
    timed = [(name, times, change) for name, _, ms, times, _, change, _ in rows if ms != "-"]
    return [Point(name, float(times), 0.0 if change == "ref" else float(change)) for name, times, change in timed]


def overview(rows: Sequence[Point]) -> Image.Image:
    """Draw a scene, the demo's labels of it, and speed against accuracy of `rows`."""
    scene = SCENES[FIRST]
    labels = label_image(load("demo")(scene.image), SYNTHETIC_PALETTE).convert("RGB")
    whole = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw = ImageDraw.Draw(whole)
    for place, (part, caption) in enumerate(
        ((Image.fromarray(scene.image), "image in: uint8[N, H, W, 3]"), (labels, "labels out: uint8[N, H, W]"))
    ):
        left = place * (PHOTO[0] + 12)
        whole.paste(part.resize(PHOTO, Image.Resampling.NEAREST), (left, 0))
        draw.text((left + PHOTO[0] // 2, PHOTO[1] + 8), caption, INK, _font(18), anchor="ma")
    _plot(draw, rows, left=2 * (PHOTO[0] + 12) + 76, right=WIDTH - 24, top=30, bottom=PHOTO[1])
    return whole


def _plot(draw: ImageDraw.ImageDraw, rows: Sequence[Point], left: int, right: int, top: int, bottom: int) -> None:
    across = Scale(0.0, 9.0, left, right)
    up = Scale(-0.4, 0.1, bottom, top)
    for value in (0.0, -0.1, -0.2, LIMIT, -0.4):
        draw.line((left, up(value), right, up(value)), RULE if value != LIMIT else FAINT, 1)
        draw.text((left - 8, up(value)), f"{value:+.1f}" if value else "0", FAINT, _font(15), anchor="rm")
    for value in range(0, 10, 2):
        draw.text((across(value), bottom + 6), f"{value}x", FAINT, _font(15), anchor="ma")
    draw.text((right, up(LIMIT) + 4), "the limit, 0.3 points", FAINT, _font(15), anchor="ra")
    draw.text((left - 60, 4), "mIoU against PyTorch, points", INK, _font(16), anchor="la")
    words = "times as fast as PyTorch, the demo on two CPU cores"
    draw.text(((left + right) / 2, bottom + 30), words, INK, _font(16), anchor="ma")
    dots = [(across(row.times), up(row.points)) for row in rows]
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y in dots]
    for box in taken:
        draw.ellipse(box, COLOUR)
    for row, (x, y) in zip(rows, dots, strict=True):
        anchors = (((x, y - 10), "mb"), ((x, y + 10), "ma"), ((x + 10, y), "lm"), ((x - 10, y), "rm"))
        boxes = [draw.textbbox(place, row.runner, _font(15), anchor) for place, anchor in anchors]
        free = [place for place, box in enumerate(boxes) if not any(_overlap(box, other) for other in taken)]
        chosen = free[0] if free else 1
        draw.text(anchors[chosen][0], row.runner, INK, _font(15), anchors[chosen][1])
        taken.append(boxes[chosen])


def _overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether two boxes are less than `APART` pixels apart."""
    return (
        one[0] < other[2] + APART
        and other[0] < one[2] + APART
        and one[1] < other[3] + APART
        and other[1] < one[3] + APART
    )


def _font(size: int) -> Any:
    return ImageFont.load_default(size)


def pictures() -> dict[str, Image.Image]:
    """File name -> picture, of all that lie in docs/images."""
    return {**strips(), OVERVIEW: overview(points(quoted_run()))}


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    for name, drawn in pictures().items():
        save_image(drawn, IMAGES / name, quality=QUALITY, subsampling=0, optimize=True)
        print(f"wrote {name}")
