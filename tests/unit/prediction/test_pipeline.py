from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import PurePosixPath

import numpy as np
import pytest

from fcn_deploy.errors import ImageError, OutputError, RunnerError
from fcn_deploy.prediction import inference
from fcn_deploy.prediction.image_io import ImageIO, ImageThreads, label_images
from fcn_deploy.prediction.image_states import FinishedImage, LoadedImage
from fcn_deploy.prediction.images.lazy_images import LazyImage
from fcn_deploy.prediction.inference import ThreadLanes, open_lanes
from fcn_deploy.prediction.pipeline import Batcher, Bounds, batch_images, infer_batches, prefetch, reorder
from fcn_deploy.prediction.stage_clock import DECODING, INFERENCE, WRITING, StageClock, bound
from fcn_deploy.runners.tickets import Tickets
from fcn_deploy.vocabulary import LABELS
from tests.support.fake_runners import FakeRunner

SHAPES = ((3, 5), (5, 3), (4, 4))


class Alive:
    """Counts images from their decoding until nobody holds them any more."""

    def __init__(self) -> None:
        self.now = self.most = self.total = 0
        self._lock = threading.Lock()

    def image(self, shape: tuple[int, int], value: int) -> np.ndarray:
        image = np.full((*shape, 3), value % 251, np.uint8)
        with self._lock:
            self.now, self.total = self.now + 1, self.total + 1
            self.most = max(self.most, self.now)
        weakref.finalize(image, self._gone)
        return image

    def _gone(self) -> None:
        with self._lock:
            self.now -= 1


class Written:
    """Outputs in memory."""

    def __init__(self, wait_s: float = 0) -> None:
        self.labels: dict[str, np.ndarray] = {}
        self._wait_s = wait_s

    def write(self, name, image, labels, confidence) -> None:
        time.sleep(self._wait_s)
        assert labels.shape == image.shape[:2]
        self.labels[str(name)] = labels.copy()


def items(alive: Alive, count: int, shapes=SHAPES) -> Iterator[LazyImage]:
    for index in range(count):
        shape = shapes[index * 7 % len(shapes)]
        yield LazyImage(index, PurePosixPath(f"{index}"), lambda shape=shape, index=index: alive.image(shape, index))


def red(images: np.ndarray) -> np.ndarray:
    return images[..., 0].copy()


def run(work, infer, written, *, batch=1, workers=3, lanes=1, clock=None) -> list[FinishedImage]:
    with closing(ThreadLanes([lambda images: {LABELS: infer(images)}] * lanes)) as fed:
        bounds = Bounds.of(workers, batch, fed.slots)
        clock = clock or StageClock()
        pool = ImageThreads(ImageIO(written, 0), workers, clock)
        return list(reorder(label_images(work, pool, fed, batch, bounds, clock), lambda one: one.index))


@pytest.mark.parametrize(("batch", "lanes"), [(1, 1), (1, 2), (4, 1), (5, 2)])
def test_every_image_gets_its_own_labels_in_order_whatever_the_batches(batch, lanes):
    written = Written()
    finished = run(items(Alive(), 61), red, written, batch=batch, lanes=lanes)
    assert [one.index for one in finished] == list(range(61))
    assert all(one.error is None for one in finished)
    assert {name: labels.ravel()[0] for name, labels in written.labels.items()} == {str(i): i for i in range(61)}


@pytest.mark.parametrize(("infer_s", "write_s"), [(0.002, 0), (0, 0.002), (0, 0)], ids=["infer", "write", "neither"])
@pytest.mark.parametrize("batch", [1, 4])
def test_the_images_alive_never_exceed_the_bound_whatever_is_slow(batch, infer_s, write_s):
    alive = Alive()

    def infer(images):
        time.sleep(infer_s)
        return red(images)

    run(items(alive, 200), infer, Written(write_s), batch=batch)
    bound = Bounds.of(3, batch, 2).images
    assert alive.total == 200
    assert alive.most <= bound
    assert bound < 60


def test_no_more_batches_are_under_way_than_there_are_slots_where_many_are_refused():
    class Counted(ThreadLanes):
        now = most = 0

        def submit(self, images):
            self.now += 1
            self.most = max(self.most, self.now)
            return super().submit(images)

        def result(self, ticket):
            self.now -= 1
            return super().result(ticket)

    def infer(images):
        if images.max() % 3 == 0:
            raise RunnerError("out of memory")
        return red(images)

    loaded = (LoadedImage(index, PurePosixPath(), np.full((2, 2, 3), index, np.uint8)) for index in range(200))
    with closing(Counted([lambda images: {LABELS: infer(images)}] * 2)) as lanes:
        assert len(list(infer_batches(batch_images(loaded, 4, 16), lanes, StageClock()))) == 200
        assert lanes.most == lanes.slots


def test_batches_hold_images_of_one_shape_and_are_full_where_they_can_be():
    sizes = []

    def infer(images):
        sizes.append(images.shape[:3])
        return red(images)

    run(items(Alive(), 60), infer, Written(), batch=4)
    assert sorted(sizes) == sorted((4, *shape) for shape in SHAPES for _ in range(5))


def test_an_image_of_a_rare_shape_does_not_wait_for_ever():
    batches = Batcher(3, window=5)
    left = []
    for index in range(9):
        image = np.zeros((9, 9, 3) if index == 1 else (2, 2, 3), np.uint8)
        left.append([[one.index for one in batch] for batch in batches.add(LoadedImage(index, PurePosixPath(), image))])
    assert left == [[], [], [], [[0, 2, 3]], [], [], [[4, 5, 6], [1]], [], []]
    assert [[one.index for one in batch] for batch in batches.flush()] == [[7, 8]]


def test_a_broken_image_and_a_refused_batch_end_with_their_errors_and_stop_nothing():
    def work():
        for item in items(Alive(), 12, shapes=((3, 5),)):
            yield LazyImage(item.index, item.name, broken) if item.index == 4 else item

    def broken():
        raise ImageError("4.jpg is damaged")

    def infer(images):
        if images.max() == 7:
            raise RunnerError("out of memory")
        return red(images)

    finished = run(work(), infer, Written())
    assert {one.index: str(one.error) for one in finished if one.error} == {4: "4.jpg is damaged", 7: "out of memory"}
    assert len(finished) == 12


def test_a_batch_that_is_refused_is_tried_in_halves_down_to_the_image_that_is_to_blame():
    sizes = []

    def infer(images):
        sizes.append(len(images))
        if len(images) > 4 or 6 in images:
            raise RunnerError("out of memory")
        return red(images)

    written = Written()
    finished = run(items(Alive(), 16, shapes=((3, 5),)), infer, written, batch=8)
    assert [one.index for one in finished if one.error] == [6]
    assert {name: labels.ravel()[0] for name, labels in written.labels.items()} == {
        str(number): number for number in range(16) if number != 6
    }
    # 0..7 as 4 and 4; the second half down to image 6; 8..15 as 4 and 4
    assert sorted(sizes, reverse=True) == [8, 8, 4, 4, 4, 4, 2, 2, 1, 1]


class Slotted(FakeRunner):
    """As an engine: three slots, every call of which is noted with its thread."""

    slots = 3

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.threads: set[str] = set()
        self._tickets = Tickets("slotted", [{}, {}, {}])

    def submit(self, image, *, on_gpu=False):
        self.threads.add(threading.current_thread().name)
        return super().submit(image)

    def result(self, ticket):
        self.threads.add(threading.current_thread().name)
        return super().result(ticket)


@pytest.mark.parametrize(("runner", "thread"), [(FakeRunner, "infer"), (Slotted, "feed")])
def test_no_image_and_no_label_is_copied_in_the_thread_that_passes_them_along(monkeypatch, runner, thread):
    threads = set()

    def noted(function):
        def call(*arguments):
            threads.add(threading.current_thread().name)
            return function(*arguments)

        return call

    monkeypatch.setattr(inference, "stack_images", noted(inference.stack_images))
    opened, where = runner(num_classes=50), np.zeros((50, 2, 2), np.uint8)

    def kept(index):
        def keep(tensors):
            where[index] = tensors[LABELS]
            return {LABELS: where[index]}

        return noted(keep)

    images = (LoadedImage(i, PurePosixPath(), np.full((2, 2, 3), i, np.uint8), kept(i)) for i in range(50))
    with opened, open_lanes([opened]) as lanes:
        found = list(infer_batches(batch_images(images, 4, 16), lanes, StageClock()))
    assert threads | getattr(opened, "threads", set()) == {f"{thread}_0"}
    assert [one.loaded.index for one in found] == list(range(50))
    assert all(np.shares_memory(one.labels, where) and (one.labels == one.loaded.index).all() for one in found)


def test_a_run_that_is_left_gives_the_slots_of_a_runner_back():
    runner = Slotted(num_classes=50)
    images = (LoadedImage(i, PurePosixPath(), np.full((2, 2, 3), i, np.uint8)) for i in range(50))
    with runner:
        with (
            open_lanes([runner]) as lanes,
            closing(infer_batches(batch_images(images, 2, 8), lanes, StageClock())) as run,
        ):
            assert next(run).loaded.index == 0
        assert (runner.infer({"image": np.full((1, 2, 2, 3), 7, np.uint8)})["labels"] == 7).all()


def test_an_image_for_which_there_is_no_memory_ends_with_an_error():
    def work():
        yield LazyImage(0, PurePosixPath("huge.tif"), lambda: np.empty((1 << 40, 1 << 20), np.uint8))

    (finished,) = run(work(), red, Written())
    assert "huge.tif needs more memory than there is" in str(finished.error)


def test_a_write_that_fails_stops_the_run_and_no_thread_stays():
    class Full(Written):
        def write(self, name, image, labels, confidence):
            if str(name) == "5":
                raise OutputError("no space is left")
            super().write(name, image, labels, confidence)

    written, alive = Full(), Alive()
    before = threading.active_count()
    with pytest.raises(OutputError, match="no space"):
        run(items(alive, 100_000), red, written)
    assert threading.active_count() == before
    assert {"0", "1", "2", "3", "4"} <= written.labels.keys()
    assert alive.total < 60


def test_nothing_is_started_further_ahead_than_the_bound():
    started = []
    with ThreadPoolExecutor(2) as pool:
        submit = lambda value: pool.submit(lambda: started.append(value) or value)  # noqa: E731
        results = prefetch(submit, iter(range(100)), 3, StageClock(), DECODING)
        assert next(results) == 0
        time.sleep(0.02)
        assert sorted(started) == [0, 1, 2]
        assert list(results) == list(range(1, 100))


def test_decoding_inference_and_writing_overlap():
    def slow_load(item):
        return LazyImage(item.index, item.name, lambda: time.sleep(0.02) or item.load())

    def infer(images):
        time.sleep(0.02)
        return red(images)

    started = time.perf_counter()
    run(map(slow_load, items(Alive(), 20)), infer, Written(0.02), workers=2)
    # one after the other 20 * 60 ms; two threads for 20 * 40 ms of waiting take 400 ms and a little at both ends
    assert time.perf_counter() - started < 0.9


@pytest.mark.parametrize("slow", [DECODING, INFERENCE, WRITING])
def test_the_stage_that_a_run_waits_for_most_is_reported_as_its_bound(slow):
    def load(item):
        return LazyImage(item.index, item.name, lambda: time.sleep(0.01 * (slow == DECODING)) or item.load())

    def infer(images):
        time.sleep(0.01 * (slow == INFERENCE))
        return red(images)

    clock, started = StageClock(), time.perf_counter()
    run(map(load, items(Alive(), 20)), infer, Written(0.01 * (slow == WRITING)), workers=1, clock=clock)
    shares = clock.shares(time.perf_counter() - started)
    assert bound(shares) == slow
    assert shares[slow] > 0.5
    assert sum(shares.values()) <= 1
