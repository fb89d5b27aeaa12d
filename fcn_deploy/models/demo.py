"""The checkpoint that ships with the package, and the name by which every command takes it."""

from __future__ import annotations

from pathlib import Path

DEMO = "demo"


def demo_path() -> Path:
    """The file behind the name "demo"."""
    return Path(__file__).parent.parent / "demo" / "demo.safetensors"


def named_file(source: str | Path) -> Path:
    """The file that `source` names: the demo's for "demo", else `source` itself."""
    return demo_path() if str(source) == DEMO else Path(source)
