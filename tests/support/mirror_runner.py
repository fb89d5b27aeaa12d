"""A runner in one file, as somebody would add it: the label of a pixel is its strongest channel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fcn_deploy.graph.load import find_card, load_graph
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.registry import RUNNERS, Entry
from fcn_deploy.vocabulary import LABELS

ENTRY = Entry("Mirror", "mirror:MirrorRunner", "numpy", "onnx", ("numpy",), rows=("", "fp16"), found_by=("numpy",))


class MirrorRunner(Runner):
    """It reads the card of the .onnx file and never its nodes."""

    @classmethod
    def open(cls, name: str, source: str, *, device: str, outputs: tuple[str, ...], threads: int | None) -> Runner:
        assert (device, outputs) == ("cpu", (LABELS,))
        return cls(name, find_card(load_graph(Path(source)), Path(source)))

    def _upload(self, image: Any) -> None:
        self._image = image

    def _execute(self) -> None:
        self._labels = self._image.argmax(-1).astype("uint8")

    def _download(self) -> dict[str, Any]:
        return {LABELS: self._labels}

    def _close(self) -> None:
        pass


def register() -> None:
    """Add it to the registry under the name "mirror"."""
    RUNNERS["mirror"] = ENTRY
