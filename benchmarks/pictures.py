"""Pictures of the demo model on generated scenes for the docs: `python -m benchmarks.pictures` (`make docs`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from PIL import Image

from fcn_deploy import load
from fcn_deploy.data.sample import Sample
from fcn_deploy.data.synthetic.dataset import SYNTHETIC_PALETTE, SyntheticDataset
from fcn_deploy.data.writing import label_image, save_image

IMAGES = Path(__file__).parent.parent / "docs" / "images"
# The demo's validation scenes: it has not been trained on them.
SCENES = SyntheticDataset(count=50, seed=2)
SHOWN = (3, 17, 29)
GAP, OVERLAY, QUALITY = 4, 0.5, 85


def strips() -> dict[str, Image.Image]:
    """File name -> one scene each: image, truth, the demo's labels, and those over the image."""
    model = load("demo")
    return {
        f"scene{place}.jpg": strip(SCENES[index], model(SCENES[index].image)) for place, index in enumerate(SHOWN, 1)
    }


def strip(sample: Sample, labels: NDArray[Any]) -> Image.Image:
    """The four side by side, white between them."""
    assert sample.label is not None
    image = Image.fromarray(sample.image)
    truth, found = (label_image(each, SYNTHETIC_PALETTE).convert("RGB") for each in (sample.label, labels))
    parts = [image, truth, found, Image.blend(image, found, OVERLAY)]
    whole = Image.new("RGB", (len(parts) * (image.width + GAP) - GAP, image.height), "white")
    for place, part in enumerate(parts):
        whole.paste(part, (place * (image.width + GAP), 0))
    return whole


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    for name, drawn in strips().items():
        save_image(drawn, IMAGES / name, quality=QUALITY, subsampling=0, optimize=True)
        print(f"wrote {name}")
