"""What libraries say when memory runs out."""

from __future__ import annotations

import numpy as np
import pytest

from fcn_deploy.system import memory as module
from fcn_deploy.system.memory import free_bytes, is_out_of_memory, left_in_groups


def test_numpy_and_pytorch_are_understood():
    import torch

    for ask in (lambda: np.empty((2**40, 2**40), np.uint8), lambda: np.empty(2**50), lambda: torch.empty(2**50)):
        with pytest.raises((ValueError, MemoryError, RuntimeError)) as raised:
            ask()
        assert is_out_of_memory(raised.value), raised.value


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (MemoryError(), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("shape mismatch"), False),
        (ValueError("odd"), False),
        (KeyError("out of memory"), False),
    ],
)
def test_other_errors_are_not(error, is_memory):
    assert is_out_of_memory(error) is is_memory


def test_some_memory_is_free():
    assert 1 << 20 < free_bytes() < 1 << 50


def _group(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(str(text))


def test_the_limit_of_a_container_counts_and_what_files_take_of_it_is_free(tmp_path):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/system.slice/job.service\n")
    mount = tmp_path / "sys/fs/cgroup"
    _group(mount / "system.slice", memory__max="max", memory__current=700)
    stat = "anon 500\ninactive_file 30\nactive_file 20\n"
    _group(mount / "system.slice/job.service", memory__max=1000, memory__current=600, memory__stat=stat)
    assert list(left_in_groups(tmp_path)) == [1000 - 600 + 50]
    _group(mount, memory__max=900, memory__current=800, memory__stat="inactive_file 0")  # a group around it, too
    assert sorted(left_in_groups(tmp_path)) == [100, 450]


def test_a_container_of_the_first_version_sees_its_own_group_at_the_mount(tmp_path):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("12:pids:/docker/1a\n4:cpu,memory:/docker/1a\n")
    files = {"memory__limit_in_bytes": 2 << 30, "memory__usage_in_bytes": 1 << 30}
    _group(tmp_path / "sys/fs/cgroup/memory", memory__stat="total_inactive_file 7\ntotal_active_file 1", **files)
    assert list(left_in_groups(tmp_path)) == [(1 << 30) + 8]


def test_without_control_groups_nothing_is_limited(tmp_path):
    assert list(left_in_groups(tmp_path)) == []


def test_ulimit_and_the_container_are_within_what_is_free(monkeypatch):
    import resource

    monkeypatch.setattr(module, "left_in_groups", lambda: iter([5 << 20]))
    assert free_bytes() == 5 << 20
    limits = {resource.RLIMIT_AS: (1 << 20, 1 << 20), resource.RLIMIT_DATA: (resource.RLIM_INFINITY, 0)}
    monkeypatch.setattr(resource, "getrlimit", limits.__getitem__)
    assert free_bytes() == 0  # this process has more than that
