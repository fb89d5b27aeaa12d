"""External data of ONNX files: names that lead elsewhere, and data that is cut, missing or no plain file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from onnx import TensorProto

from tests.hostile.commands import ON_ONNX, SLOW
from tests.hostile.kind import Make, files_kind
from tests.hostile.onnx_network import initializer, network


def external(
    location: str, *, write: Callable[[Path], None] | None = None, offset: str = "0", length: str | None = "324"
) -> Make:
    """Return a case: the network with its weight at `location`; `write` makes what is there, from the folder."""

    def make(folder: Path) -> Path:
        path = folder / "m.onnx"
        model = network(path)
        tensor = initializer(model)
        data = tensor.raw_data
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        entries = {"location": location, "offset": offset, "length": length}
        for key, value in entries.items():
            if value is not None:
                tensor.external_data.add(key=key, value=value)
        path.write_bytes(model.SerializeToString())
        (folder.parent / "outside.bin").write_bytes(data)
        if write is None:
            (folder / "weights.bin").write_bytes(data)
        else:
            write(folder)
        return path

    return make


def _short(folder: Path) -> None:
    (folder / "weights.bin").write_bytes(bytes(100))


def _link(target: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "weights.bin").symlink_to(target)


def hub_cache(folder: Path) -> Path:
    """Write the network as the Hugging Face cache lays files out: a snapshot of links into blobs/."""
    made = external("weights.bin")(folder)
    blobs, snapshot = folder / "blobs", folder / "snapshots" / "0123abcd"
    for new in (blobs, snapshot):
        new.mkdir(parents=True)
    for index, path in enumerate((made, folder / "weights.bin")):
        path.rename(blobs / f"{index:064x}")
        (snapshot / path.name).symlink_to(Path("..", "..", "blobs", f"{index:064x}"))
    return snapshot / "m.onnx"


EXTERNAL: dict[str, Make] = {
    "absolute": external("/etc/passwd", length=None),
    "absolute-device": external("/dev/zero"),
    "parent": external("../outside.bin"),
    "parent-inside": external("sub/../../outside.bin", write=lambda folder: (folder / "sub").mkdir()),
    "backslashes": external("..\\outside.bin"),
    "empty-location": external(""),
    "nul": external("weights\0.bin"),
    "missing": external("weights.bin", write=lambda folder: None),
    "short": external("weights.bin", write=_short),
    "empty-file": external("weights.bin", write=lambda folder: (folder / "weights.bin").touch()),
    "folder": external("weights.bin", write=lambda folder: (folder / "weights.bin").mkdir()),
    "fifo": external("weights.bin", write=lambda folder: os.mkfifo(folder / "weights.bin")),
    "device": external("weights.bin", write=_link("/dev/zero")),
    "terminal": external("weights.bin", write=_link("/dev/tty")),
    "dangling": external("weights.bin", write=_link("nowhere")),
    "loop": external("weights.bin", write=_link("weights.bin")),
    "negative-offset": external("weights.bin", offset="-4"),
    "offset-beyond": external("weights.bin", offset="4"),
    "offset-huge": external("weights.bin", offset=str(2**63)),
    "offset-text": external("weights.bin", offset="four"),
    "length-short": external("weights.bin", length="8"),
    "length-long": external("weights.bin", length="99999999"),
    "length-huge": external("weights.bin", length=str(2**64)),
    "length-text": external("weights.bin", length="1e3"),
    "length-negative": external("weights.bin", length="-1"),
    "memory-address": external("*/_ORT_MEM_ADDR_/*", offset="140000000000000"),
}

KINDS = [files_kind("external data", EXTERNAL, ON_ONNX, default=len(EXTERNAL), slow=SLOW)]
