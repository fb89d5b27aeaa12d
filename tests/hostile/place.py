"""The folders of hostile attempts: the user's files that stay, one hostile file, and what commands write."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from tests.hostile.harness import Attempt, attempt
from tests.hostile.kind import Command, Make
from tests.hostile.onnx_network import network


class Place:
    """Run commands on hostile files below one folder; each attempt finds it empty but for the user's own files."""

    def __init__(self, base: Path) -> None:
        self.base, self.own = base, base / "own"
        self.own.mkdir(parents=True)
        network(self.own / "good.onnx")
        image = np.random.default_rng(0).integers(0, 256, (33, 47, 3), dtype=np.uint8)
        Image.fromarray(image).save(self.own / "image.png")
        Image.fromarray(image.argmax(2).astype(np.uint8)).save(self.own / "label.png")
        (self.own / "list.txt").write_text("image.png label.png\n", encoding="utf-8")

    def attempt(self, make: Make, command: Command) -> Attempt:
        """Let `make` write its file, and run the command on it."""
        inputs, outputs = self.base / "case" / "in", self.base / "out"
        for folder in (inputs.parent, outputs):
            shutil.rmtree(folder, ignore_errors=True)
        inputs.mkdir(parents=True)
        outputs.mkdir()
        return attempt(command(make(inputs), self.own, outputs), outputs=outputs, inputs=inputs)
