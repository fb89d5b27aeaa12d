"""Joules by counters: RAPL's as files, NVML's by a double."""

from __future__ import annotations

from pathlib import Path

import pytest

from fcn_deploy.benchmark.timing import energy
from fcn_deploy.benchmark.timing.energy import EnergyMeter, RaplPackage, added


def package(folder: Path, name: str, microjoules: int, limit: int = 999_999) -> Path:
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    (folder / "max_energy_range_uj").write_text(f"{limit}\n")
    return folder


class Gpus:
    """A watch that has seen one more joule of GPU 0 at every reading."""

    def __init__(self) -> None:
        self.seen = 0

    def joules(self) -> dict[int, float]:
        self.seen += 1
        return {0: 100.0 + self.seen}


def test_a_counter_that_comes_round_goes_on(tmp_path):
    folder = package(tmp_path / "p", "package-0", 900_000)
    counter = RaplPackage(folder)
    assert counter.joules() == 0
    (folder / "energy_uj").write_text("400000")
    assert counter.joules() == pytest.approx(0.5)
    (folder / "energy_uj").write_text("500000")
    assert counter.joules() == pytest.approx(0.6)


def test_packages_are_added_and_parts_of_them_are_not_counted_twice(tmp_path):
    for index, name in enumerate(("package-0", "package-1", "core", "psys")):
        package(tmp_path / f"intel-rapl:{index}", name, 0)
    meter = EnergyMeter(None, tmp_path)
    for index in range(4):
        (tmp_path / f"intel-rapl:{index}" / "energy_uj").write_text("250000")
    assert meter.read() == {"cpu": pytest.approx(0.5)}


def test_counters_that_may_not_be_read_are_left_out(tmp_path):
    broken = package(tmp_path / "intel-rapl:0", "package-0", 0)
    (broken / "energy_uj").write_text("")
    package(tmp_path / "intel-rapl:1", "package-1", 0)
    (tmp_path / "intel-rapl:1" / "energy_uj").unlink()
    assert EnergyMeter(None, tmp_path).read() == {}
    assert EnergyMeter.without().read() == {}
    assert EnergyMeter(None, tmp_path / "none").read() == {}


def test_what_counts_of_a_call_has_its_share_of_the_joules(monkeypatch, tmp_path):
    now = iter([10.0, 14.0])
    monkeypatch.setattr(energy.time, "perf_counter", lambda: next(now))
    found, joules = EnergyMeter(Gpus(), tmp_path).around(lambda: (7, 1.0))
    assert found == (7, 1.0)
    assert joules == {"gpu 0": 0.25}  # 1 of 4 seconds of 1 joule


def test_parts_are_added_where_all_have_the_counter():
    assert added([{"gpu 0": 1.0, "cpu": 2.0}, {"gpu 0": 3.0}]) == {"gpu 0": 4.0}
    assert added([]) == {}
