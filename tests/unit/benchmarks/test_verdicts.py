"""The count of right verdicts: by hand on made-up records, and on real runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.readme import verdicts_table
from benchmarks.verdicts import between, in_turn, measure
from benchmarks.verdicts_run import ONE, SAME, SLOWER
from fcn_deploy.benchmark.record import types as rec
from fcn_deploy.benchmark.record.measurement import Latency
from tests.support.bench_records import RECORD, bench_row

ROUNDS = 40
# One process in which everything took a fifth longer, as a whole.
QUIET, WARM = 1.0, 1.2


def run(whole: float, seed: int, rounds: int = ROUNDS, **changes: object) -> rec.Record:
    """Runners of 10, 10 and 10.5 ms in a run that took `whole` times as long, with 0.1 % of noise a round."""
    generator = np.random.default_rng(seed)
    rows = []
    for name, ms in ((ONE, 10.0), (SAME, 10.0), (SLOWER, 10.5)):
        times = tuple(int(ms * 1e6 * whole * noise) for noise in generator.normal(1, 0.001, rounds))
        rows.append(bench_row(name, latency=Latency((0,) * rounds, times, (0,) * rounds, ())))
    reference = rec.Reference(ONE, None)
    return replace(RECORD, rows=tuple(rows), rounds=(0,) * rounds, reference=reference, **changes)


def counts(row: dict) -> tuple[int, int, int, int]:
    return row["pairs"], row["equal"], row["found"], len(row["refused"])


def test_within_a_run_two_identical_runners_are_equal_and_the_slower_one_is_found():
    found = in_turn([run(QUIET, 1), run(WARM, 2)]).row("rows")
    assert counts(found)[:1] == (2,)
    assert found["found"] == 2
    assert [value for value, _, _ in found["slower"]] == pytest.approx([1.05, 1.05], abs=0.002)


def test_runs_that_differ_as_wholes_are_called_different_unless_shares_are_compared():
    records = [run(QUIET, 1), run(WARM, 2), run(QUIET, 3)]
    plain, shares = between(records, relative=False).row("plain"), between(records, relative=True).row("shares")
    # a fifth more, then a fifth less: neither is equal, and 5 % slower is hidden where the run was a fifth faster
    assert counts(plain) == (2, 0, 1, 0)
    assert [value for value, _, _ in plain["same"]] == pytest.approx([1.2, 1 / 1.2], abs=0.003)
    assert counts(shares)[2] == 2
    assert [value for value, _, _ in shares["same"]] == pytest.approx([1, 1], abs=0.003)


def test_what_bench_would_not_compare_is_refused_and_counted_apart():
    # 2 threads on 4 cores: others that keep 3 busy took one of them
    busy = between([run(QUIET, 1), run(QUIET, 2, other_cores=3.0)], relative=False).row("busy")
    assert counts(busy) == (0, 0, 0, 1)
    assert "other processes kept 3.0 of 4 cores busy" in busy["refused"][0]
    short = in_turn([run(QUIET, 1, rounds=7)]).row("short")
    assert counts(short) == (0, 0, 0, 1)
    assert short["refused"] == ["fewer than 8 rounds"]


def test_the_table_has_a_line_for_each_way_to_compare():
    same = [[1.0, 0.99, 1.01], [1.004, 1.002, 1.006], [1.02, 1.01, 1.03], [0.97, 0.96, 0.98]]  # the last two differ
    slower = [[1.05, 1.04, 1.06], [1.05, 0.99, 1.11], [1.008, 1.007, 1.009], [1.02, 1.01, 1.03]]
    row = {"question": "rows of one run", "same": same, "slower": slower, "refused": ["busy"]}
    assert verdicts_table({"rows": [row]}).splitlines()[2] == "| rows of one run | 4 | 2 | 2 | 1 |"


@pytest.mark.long
def test_real_runs_have_a_process_each_and_are_compared_in_three_ways():
    rows, facts = measure(runs=2, products=4, slower=5, side=24, seconds=0.5)
    assert [row["pairs"] + len(row["refused"]) for row in rows] == [2, 1, 1]
    assert rows[0]["question"] == "rows of one run, 25 % slower"
    assert len(facts["rounds"]) == 2
    assert min(facts["rounds"]) >= 3
    assert 0 < facts["harness"]["median_ns"] < 0.01 * 5e6  # under a hundredth of 5 ms
    assert all(ms > 0 for medians in facts["medians_ms"] for ms in medians)


@pytest.mark.long
def test_identical_runners_of_real_runs_are_called_equal_and_a_slower_one_is_found():
    """20 runs by the wall's clock under bench's own defaults; work of others slows all three runners in turn."""
    rows, _ = measure(runs=20, products=20, slower=21, side=192, seconds=4)
    assert rows[0]["pairs"] == 20
    assert rows[0]["equal"] >= 17  # of 20 at 95 %: fewer once in 60 times
    assert np.median([value for value, _, _ in rows[0]["slower"]]) == pytest.approx(1.05, abs=0.02)
    judged = rows[1]["pairs"]
    if judged < 10:
        pytest.skip(f"only {judged} of 19 pairs of runs on a quiet machine: {rows[1]['refused'][0]}")
    assert rows[0]["found"] >= 17
