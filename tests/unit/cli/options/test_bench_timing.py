from __future__ import annotations

import cloup
import pytest
from click.testing import CliRunner

from fcn_deploy.cli.options.bench import TIMING_OPTIONS, timing
from fcn_deploy.cli.options.command import group


def parsed(*arguments: str) -> dict:
    found: dict = {}

    @cloup.command()
    @group("Timing", TIMING_OPTIONS)
    def command(**given: object) -> None:
        found.update(given)

    result = CliRunner().invoke(command, arguments)
    return found if result.exit_code == 0 else {"exit": result.exit_code, "said": result.output}


def test_the_values_are_the_arguments_of_bench():
    assert timing(
        parsed("--sizes", "0.50,1, 180x240", "--image-sizes", "360x480, 720x960", "--batch", "1,4", "--no-memory")
    ) == {
        "iterations": 500,
        "seconds": 20.0,
        "stop_at": 0.01,
        "warmup": 3,
        "sizes": ("0.5", "1", "180x240"),
        "image_sizes": ((360, 480), (720, 960)),
        "batches": (1, 4),
        "saturation": 1.5,
        "memory": False,
        "isolated": False,
        "threads": None,
    }
    assert timing(parsed("--batch", "2,1,2"))["batches"] == (2, 1)


def test_a_tolerance_of_nothing_never_stops_early():
    assert timing(parsed("--stop-at", "0%"))["stop_at"] is None
    assert timing(parsed("--stop-at", "2.5%"))["stop_at"] == 0.025


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--sizes", "360"), "'360' is not a network size; write HxW as in 512x1024, a longest side"),
        (("--sizes", "0"), "'0' is not a network size"),
        (("--sizes", "0x480"), "'0x480' is not a height and a width above 0"),
        (("--image-sizes", "0.5"), "'0.5' is not a height and a width above 0; write HxW, as in 360x480"),
        (("--image-sizes", "99999x480"), "'99999x480' has a side of more than 65536 pixels"),
        (("--batch", "0"), "'0' is not a number of images"),
        (("--batch", "1;4"), "'1;4' is not a number of images"),
        (("--batch", ","), "it names no number of images"),
        (("--stop-at", "1"), "'1' is not a percentage"),
    ],
)
def test_what_cannot_be_read_is_a_usage_error_that_says_how_to_write_it(arguments, said):
    found = parsed(*arguments)
    assert found["exit"] == 2
    assert said in " ".join(found["said"].split())
