"""Recognise that memory ran out, whatever a library calls it, and refuse what cannot fit before it is tried."""

from __future__ import annotations

import re

# NumPy's ValueError of an array beyond the address space, and the RuntimeErrors of PyTorch, CUDA and C++.
_WORDS = re.compile(
    r"array is too big|maximum (allowed|supported) dimension|can't allocate memory|cannot allocate memory"
    r"|out of memory|failed to allocate|alloc_failed|bad_alloc|invalid buffer size|storage size calculation overflowed",
    re.IGNORECASE,
)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out, or that more was asked for than there can be."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, (ValueError, RuntimeError)) and _WORDS.search(str(error)) is not None


def free_bytes() -> int:
    """Return the memory that this machine has free."""
    import psutil

    return int(psutil.virtual_memory().available)
