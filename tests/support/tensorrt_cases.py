"""What the tensorrt runner must do on any machine: a fake GPU here, a real one in tests/gpu.

A test file imports these and gives the fixture `machine`: `build(onnx, profiles)` -> engine file,
`same(found, expected, logits)` -> whether labels are as equal as that machine can have them.
"""

from __future__ import annotations

import random
import threading

import numpy as np
import pytest

from fcn_deploy.errors import RunnerError, ShapeError
from fcn_deploy.runners.engine_options import TrtOptions
from fcn_deploy.runners.registry import open_runner
from fcn_deploy.runners.trt.runner import TrtRunner
from tests.support.tensorrt_nets import *  # noqa: F403  (fixtures)
from tests.support.tensorrt_nets import BOTH, PROFILES, noise, random_shape, write_float_net


def require_same(machine, found, expected) -> None:
    assert found["labels"].dtype == np.uint8
    assert found["labels"].shape == expected["labels"].shape
    assert machine.same(found["labels"], expected["labels"], expected["logits"])


def test_200_random_shapes_over_three_profiles_with_full_slots_give_the_labels_of_onnxruntime(machine, net, reference):
    generator = random.Random(7)
    engine = machine.build(net, PROFILES)
    with open_runner("tensorrt", str(engine)) as runner:
        open_tickets = []
        for number in range(200):
            if len(open_tickets) == 3:
                ticket, image = open_tickets.pop(generator.randrange(3))
                require_same(machine, runner.result(ticket), reference(image))
            image = noise(random_shape(generator), number)
            open_tickets.append((runner.submit(image), image))
        for ticket, image in reversed(open_tickets):
            require_same(machine, runner.result(ticket), reference(image))


def test_the_three_steps_give_what_submit_gives_and_may_be_repeated(machine, net, reference):
    engine = machine.build(net, PROFILES)
    with open_runner("tensorrt", str(engine)) as runner:
        for shape in ((2, 33, 47), (1, 131, 67), (1, 1, 1), (4, 97, 99), (2, 33, 47)):
            image = noise(shape)
            runner.upload({"image": image})
            runner.execute()
            first = runner.download()
            runner.execute()
            require_same(machine, first, reference(image))
            assert np.array_equal(runner.download()["labels"], first["labels"])
            assert np.array_equal(runner.result(runner.submit(image))["labels"], first["labels"])


def test_a_stream_keeps_the_order_of_its_images_and_takes_them_no_faster_than_slots_are_free(machine, net, reference):
    engine = machine.build(net, PROFILES)
    generator = random.Random(3)
    images = [noise(random_shape(generator), seed) for seed in range(20)]
    taken = []

    def source():
        for number, image in enumerate(images):
            taken.append(number)
            yield image

    with open_runner("tensorrt", str(engine)) as runner:
        for number, results in enumerate(runner.stream(source())):
            assert len(taken) <= number + 3
            require_same(machine, results, reference(images[number]))
    assert len(taken) == 20


def test_an_image_that_cannot_run_is_reported_after_the_results_before_it_and_the_runner_goes_on(
    machine, net, reference
):
    engine = machine.build(net, PROFILES)
    good = [noise((1, 33, 47), seed) for seed in range(4)]
    with open_runner("tensorrt", str(engine)) as runner:
        stream = runner.stream([good[0], good[1], noise((5, 33, 47)), good[2]])
        require_same(machine, next(stream), reference(good[0]))
        require_same(machine, next(stream), reference(good[1]))
        with pytest.raises(
            ShapeError, match=r"no profile of the engine holds 5x33x47 .*1x1x1 \.\. 1x33x47 \.\. 2x64x64; "
        ):
            next(stream)
        require_same(machine, runner.infer({"image": good[3]}), reference(good[3]))


def test_a_stream_not_read_to_its_end_leaves_its_slots_free(machine, net, reference):
    engine = machine.build(net, PROFILES)
    images = [noise((1, 33, 47), seed) for seed in range(6)]
    with open_runner("tensorrt", str(engine)) as runner:
        stream = runner.stream(images)
        next(stream)
        stream.close()
        tickets = [runner.submit(image) for image in images[3:]]
        for ticket, image in zip(tickets, images[3:], strict=True):
            require_same(machine, runner.result(ticket), reference(image))


def test_floats_and_other_layouts_are_refused_with_what_is_needed(machine, net):
    engine = machine.build(net, PROFILES)
    with open_runner("tensorrt", str(engine)) as runner:
        for image in (noise((1, 33, 47)).astype(np.float32), noise((1, 33, 47))[0], noise((1, 33, 47))[..., :2]):
            for call in (lambda image=image: runner.submit(image), lambda image=image: runner.infer({"image": image})):
                with pytest.raises(ShapeError, match=r"expected uint8\[N, H, W, 3\]"):
                    call()


def test_a_shape_outside_every_profile_is_refused_before_it_is_copied(machine, net):
    engine = machine.build(net, PROFILES)
    with open_runner("tensorrt", str(engine)) as runner, pytest.raises(ShapeError, match="no profile of the engine"):
        runner.upload({"image": noise((3, 64, 32))})


def test_results_belong_to_the_caller_and_images_may_be_overwritten_at_once(machine, net, reference):
    engine = machine.build(net, PROFILES)
    image = noise((2, 33, 47))
    expected = reference(image)
    with open_runner("tensorrt", str(engine), outputs=BOTH) as runner:
        overwritten = image.copy()
        ticket = runner.submit(overwritten)
        overwritten[:] = 0
        found = runner.result(ticket)
        for seed in range(1, 5):
            runner.result(runner.submit(noise((2, 33, 47), seed)))
    require_same(machine, found, expected)
    # A caller may write to his arrays, and a closed runner has no say in them.
    found["labels"][:] = 1
    assert machine.same(found["logits"].argmax(1).astype(np.uint8), expected["labels"], expected["logits"])


def test_more_images_than_slots_a_foreign_ticket_and_a_used_one_are_refused(machine, net):
    engine = str(machine.build(net, PROFILES))
    image = noise((1, 33, 47))
    with open_runner("tensorrt", engine) as runner, open_runner("tensorrt", engine) as other:
        tickets = [runner.submit(image) for _ in range(3)]
        with pytest.raises(RunnerError, match=r"all 3 slots are taken; call result\(\) for a ticket first"):
            runner.submit(image)
        with pytest.raises(RunnerError, match=r"3 tickets are open; call result\(\)"):
            runner.upload({"image": image})
        with pytest.raises(RunnerError, match="ticket 1 is not open"):
            other.result(tickets[0])
        runner.result(tickets[0])
        with pytest.raises(RunnerError, match="ticket 1 is not open; each gives its result once"):
            runner.result(tickets[0])


def test_submit_forgets_what_was_uploaded(machine, net):
    engine = machine.build(net, PROFILES)
    with open_runner("tensorrt", str(engine)) as runner:
        runner.upload({"image": noise((1, 33, 47))})
        runner.result(runner.submit(noise((1, 40, 50))))
        with pytest.raises(RunnerError, match="go in this order"):
            runner.execute()


def test_a_runner_can_be_closed_twice_and_with_tickets_open(machine, net):
    engine = machine.build(net, PROFILES)
    runner = open_runner("tensorrt", str(engine))
    ticket = runner.submit(noise((1, 33, 47)))
    runner.submit(noise((1, 131, 211)))
    runner.close()
    runner.close()
    with pytest.raises(RunnerError, match="is closed; open it again"):
        runner.result(ticket)


def test_a_second_thread_has_its_own_runner_and_may_take_over_one(machine, net, reference):
    """Contexts are pushed for each call, so nothing of the first thread's state is needed."""
    engine = str(machine.build(net, PROFILES))
    images = [noise((1, 33, 47), seed) for seed in range(6)]
    found: list[dict[str, np.ndarray]] = []

    def second_thread() -> None:
        with open_runner("tensorrt", engine) as own:
            found.extend(own.stream(images))
        found.append(shared.infer({"image": images[0]}))

    with open_runner("tensorrt", engine) as shared:
        shared.infer({"image": images[1]})
        thread = threading.Thread(target=second_thread)
        thread.start()
        thread.join()
        found.append(shared.infer({"image": images[2]}))
    for results, image in zip(found, [*images, images[0], images[2]], strict=True):
        require_same(machine, results, reference(image))


def test_two_threads_with_a_runner_each_work_at_once(machine, net, reference):
    engine = str(machine.build(net, PROFILES))
    found: dict[int, list[dict[str, np.ndarray]]] = {}

    def work(number: int) -> None:
        with open_runner("tensorrt", engine) as runner:
            found[number] = list(runner.stream(noise((1, 30 + number, 47), seed) for seed in range(15)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(2):
        for seed, results in enumerate(found[number]):
            require_same(machine, results, reference(noise((1, 30 + number, 47), seed)))


@pytest.mark.parametrize("slots", [1, 2])
def test_fewer_slots_and_memory_held_from_the_start_change_nothing(machine, net, reference, slots):
    engine = str(machine.build(net, PROFILES))
    images = [noise(random_shape(random.Random(seed)), seed) for seed in range(8)]
    with TrtRunner.open("tensorrt", engine, engine=TrtOptions(slots=slots, preallocate=True)) as runner:
        for results, image in zip(runner.stream(images), images, strict=True):
            require_same(machine, results, reference(image))


def test_a_float_engine_with_logits_keeps_the_contract_by_work_on_the_host(machine, tmp_path, reference):
    engine = machine.build(write_float_net(tmp_path / "float.onnx"), PROFILES)
    with open_runner("tensorrt", str(engine)) as runner:
        notes = " ".join(runner.notes)
        assert "normalises the image on the host" in notes
        assert "arg max of the logits on the host" in notes
        for shape in ((2, 33, 47), (1, 131, 67)):
            require_same(machine, runner.infer({"image": noise(shape)}), reference(noise(shape)))
