"""Stands in for the shared libraries that an extension module needs, so that it imports where they are not.

Each needed library becomes a file of that name that defines every function the module takes from it, returning 0. A
module that only registers its classes when imported never notices. Needs a C compiler and `nm` (binutils).
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

TOOLS = ("cc", "nm")
# What the libraries that are missing are called; the C and C++ ones are there.
_LIBRARIES = rb"\blib(?:nv|cuda|tensorrt)\w*\.so\.\d+"
# Symbols that the interpreter, the C library and the C++ one define, or nobody (weak ones of the linker).
_ELSEWHERE = re.compile(r"^_?Py|@|^_ITM_|^__gmon|^_ZGTt|^_?_?(?:pthread|cxa)|^dl")


def missing_tool() -> str | None:
    """The first of `TOOLS` that this machine lacks."""
    return next((tool for tool in TOOLS if shutil.which(tool) is None), None)


def write_stubs(extension: Path, folder: Path) -> None:
    """Fill `folder` with a stub for each library that the shared object `extension` needs; for LD_LIBRARY_PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "stub.c"
    source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in undefined(extension)))
    built = folder / "stub.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-w", "-o", str(built), str(source)], check=True)
    for name in set(re.findall(_LIBRARIES, extension.read_bytes())):
        shutil.copy(built, folder / name.decode())


def undefined(extension: Path) -> list[str]:
    """Functions that a shared object takes from elsewhere, but for those of the system's own libraries."""
    listed = subprocess.run(["nm", "-D", "--undefined-only", extension], check=True, capture_output=True, text=True)
    names = {line.split()[-1] for line in listed.stdout.splitlines()}
    return sorted(name for name in names if not _ELSEWHERE.search(name))
