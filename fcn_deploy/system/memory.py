"""Recognise that memory ran out, whatever a library calls it, and find what this process may still take."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

# NumPy's ValueError of an array beyond the address space, and the RuntimeErrors of PyTorch, CUDA and C++.
_WORDS = re.compile(
    r"array is too big|maximum (allowed|supported) dimension|can't allocate memory|cannot allocate memory"
    r"|out of memory|failed to allocate|alloc_failed|bad_alloc|invalid buffer size|storage size calculation overflowed",
    re.IGNORECASE,
)
# By version of control groups, below their mount: where groups are, and the files of limit, use and the use's parts.
_GROUPS = {
    2: ("", "memory.max", "memory.current", ("active_file", "inactive_file")),
    1: ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", ("total_active_file", "total_inactive_file")),
}


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out, or that more was asked for than there can be."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, (ValueError, RuntimeError)) and _WORDS.search(str(error)) is not None


def free_bytes() -> int:
    """Return the memory that this process may still take: the machine's, within a container's limits and ulimit's."""
    import psutil

    return max(0, min([int(psutil.virtual_memory().available), *left_in_groups(), *_left_by_ulimit()]))


def left_in_groups(root: Path = Path("/")) -> Iterator[int]:
    """Yield what is left in each control group that this process is in, as containers and services are limited.

    A container sees its own group at the mount, whatever its name outside.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:  # "0::/user.slice", "4:memory:/docker/12ab"
        _, controllers, name = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        place, limit, use, cached = _GROUPS[1 if controllers else 2]
        mount = root / "sys/fs/cgroup" / place
        parts = Path(name.lstrip("/")).parts
        for depth in range(len(parts) + 1):
            yield from _left_in_group(mount.joinpath(*parts[:depth]), limit, use, cached)


def _left_in_group(group: Path, limit: str, use: str, cached: tuple[str, ...]) -> Iterator[int]:
    """Yield what is left of a group's limit, if it has one; pages of files make room when they must."""
    try:
        most = int((group / limit).read_text())
        used = int((group / use).read_text())
        parts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no such group, or "max"
        return
    yield most - used + sum(int(parts.get(name, 0)) for name in cached)


def _left_by_ulimit() -> Iterator[int]:
    """Yield what is left of the limits on address space and on private memory (`ulimit -v`, `ulimit -d`)."""
    try:
        import resource
    except ImportError:  # Windows
        return
    import psutil

    for kind, field in ((resource.RLIMIT_AS, "vms"), (resource.RLIMIT_DATA, "data")):
        most = resource.getrlimit(kind)[0]
        if most != resource.RLIM_INFINITY:
            yield most - getattr(psutil.Process().memory_info(), field, 0)
