from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fcn_deploy.errors import RunnerError, ShapeError
from fcn_deploy.runners.arrays import host_image
from fcn_deploy.runners.base import Runner
from tests.support.fake_runners import FakeRunner

IMAGE = np.zeros((2, 33, 47, 3), np.uint8)


class Recorder(Runner):
    """Writes down which steps reached the backend."""

    def __init__(self) -> None:
        super().__init__("recorder", None)
        self.calls: list[str] = []

    def _upload(self, image: Any) -> None:
        self.calls.append("upload")

    def _execute(self) -> None:
        self.calls.append("execute")

    def _download(self) -> dict[str, Any]:
        self.calls.append("download")
        return {"labels": IMAGE[..., 0]}

    def _close(self) -> None:
        self.calls.append("close")


def test_infer_is_upload_then_execute_then_download():
    with Recorder() as runner:
        labels = runner.infer({"image": IMAGE})["labels"]
    assert labels.shape == (2, 33, 47)
    assert runner.calls == ["upload", "execute", "download", "close"]


def test_a_closed_runner_refuses_every_step():
    runner = Recorder()
    runner.close()
    runner.close()
    for step in (lambda: runner.upload({"image": IMAGE}), runner.execute, runner.download):
        with pytest.raises(RunnerError, match="recorder is closed; open it again"):
            step()
    assert runner.calls == ["close"]


def test_steps_out_of_order_are_refused_before_they_reach_the_backend():
    with Recorder() as runner:
        with pytest.raises(RunnerError, match="go in this order"):
            runner.execute()
        runner.upload({"image": IMAGE})
        with pytest.raises(RunnerError, match="go in this order"):
            runner.download()
        assert runner.calls == ["upload"]


@pytest.mark.parametrize(
    ("feeds", "found"),
    [
        ({"input": IMAGE}, r"the feeds are \['input'\]; expected 'image' alone"),
        ({"image": IMAGE, "mask": IMAGE}, r"\['image', 'mask'\]"),
        ({"image": IMAGE.astype(np.float32)}, r"float32\[2, 33, 47, 3\]"),
        ({"image": IMAGE[0]}, r"uint8\[33, 47, 3\]"),
        ({"image": IMAGE.transpose(0, 3, 1, 2)}, r"uint8\[2, 3, 33, 47\]"),
        ({"image": IMAGE[:0]}, r"uint8\[0, 33, 47, 3\]"),
        ({"image": IMAGE[:, :, :0]}, r"uint8\[2, 33, 0, 3\]"),
    ],
)
def test_wrong_feeds_are_named_with_what_is_needed(feeds, found):
    with Recorder() as runner, pytest.raises(ShapeError, match=found) as caught:
        runner.upload(feeds)
    assert "expected" in str(caught.value)
    assert runner.calls == ["close"]


def test_a_strided_image_is_made_contiguous_with_the_same_pixels():
    wide = np.arange(2 * 5 * 8 * 3, dtype=np.uint8).reshape(2, 5, 8, 3)
    image = host_image(wide[:, :, ::2])
    assert image.flags.c_contiguous
    assert np.array_equal(image, wide[:, :, ::2])


def test_a_runner_with_one_slot_takes_one_batch_at_a_time():
    runner = FakeRunner()
    images = [np.full((1, 3, 5, 3), value, np.uint8) for value in (1, 2, 3)]
    assert runner.slots == 1
    ticket = runner.submit(images[0])
    with pytest.raises(RunnerError, match=r"all 1 slots are taken; call result\(\) for a ticket first"):
        runner.submit(images[1])
    with pytest.raises(RunnerError, match=r"1 tickets are open; call result\(\) for them before upload\(\)"):
        runner.infer({"image": images[1]})
    assert (runner.result(ticket)["labels"] == 1).all()
    with pytest.raises(RunnerError, match="each gives its result once"):
        runner.result(ticket)
    assert [int(outputs["labels"].max()) for outputs in runner.stream(images)] == [1, 2, 3]
    assert (runner.infer({"image": images[1]})["labels"] == 2).all()


def test_a_batch_that_fails_leaves_the_slot_free():
    runner = FakeRunner(fail_at=2)
    runner.result(runner.submit(np.zeros((1, 3, 5, 3), np.uint8)))
    results = runner.stream(np.zeros((1, 3, 5, 3), np.uint8) for _ in range(2))
    with pytest.raises(RunnerError, match="ran out of memory"):
        list(results)
    with pytest.raises(RunnerError, match="ran out of memory"):
        runner.submit(np.zeros((1, 3, 5, 3), np.uint8))
    with pytest.raises(ShapeError, match="the feeds are"):
        runner.upload({"x": np.zeros((1, 3, 5, 3), np.uint8)})
