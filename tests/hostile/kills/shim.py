"""Let a process be killed, or its files fail, at its n-th operation on files: the library of shim.c and its plan."""

from __future__ import annotations

import hashlib
import mmap
import shutil
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")
_FIELDS = struct.Struct("8l1024s1024s")
NEVER = 1 << 40


def missing() -> str:
    """Return why the library cannot be made on this machine, "" if it can."""
    return "" if shutil.which("cc") else "there is no C compiler (cc)"


def build() -> Path:
    """Compile the library, once per version of its source; return its path."""
    key = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]
    target = Path(tempfile.gettempdir(), f"fcn-kills-{key}.so")
    if not target.exists():
        own = Path(tempfile.mkdtemp()) / target.name
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", own, SOURCE, "-ldl"], check=True)
        own.replace(target)
        own.parent.rmdir()
    return target


@dataclass(frozen=True)
class Fault:
    """What happens at the operation `at`, 1-based.

    Attributes:
        signal: is sent to the command's process, also when a child of it does the operation.
        error: the errno with which the operation fails; `onwards`: and every later one that writes.
    """

    at: int = NEVER
    signal: int = 0
    error: int = 0
    onwards: bool = False


class Plan:
    """The page that tells the library what to do; the processes that are to obey have its path in KILLS_PLAN."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():  # a process that has mapped it would crash if it became shorter
            path.write_bytes(bytes(_FIELDS.size))
        with path.open("r+b") as stream:
            self._page = mmap.mmap(stream.fileno(), _FIELDS.size)

    def arm(self, fault: Fault, process: int, root: Path) -> None:
        """Count from here on, below `root`."""
        self._page[: _FIELDS.size] = _FIELDS.pack(
            1, 0, fault.at, fault.signal, fault.error, fault.onwards, process, 0, bytes(root), b""
        )

    def disarm(self) -> tuple[int, bool, str]:
        """Stop; return how many operations there were, whether the fault happened, and at what."""
        fields = _FIELDS.unpack(self._page[: _FIELDS.size])
        self._page[:8] = bytes(8)
        return fields[1], bool(fields[7]), fields[9].split(b"\0")[0].decode(errors="replace")
