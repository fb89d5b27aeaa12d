"""The doubles are as strict as the real bindings: what those refuse, these refuse."""

from __future__ import annotations

import pytest

from tests.api.bindings import read
from tests.api.builder import Building
from tests.api.describe import describe, plain, signatures
from tests.api.doubles import Double
from tests.api.signature import Parameter, parse


def building(title):
    behind = Building()
    behind.double = Double("tensorrt", read(title), behind)
    return behind.double


def logger(trt):
    class Quiet(trt.ILogger):
        def __init__(self):
            trt.ILogger.__init__(self)

        def log(self, severity, message):
            pass

    return Quiet()


def config(trt):
    return trt.Builder(logger(trt)).create_builder_config()


def real():
    return pytest.importorskip("tensorrt_rtx")


WRONG = {
    "a misspelt method": (AttributeError, lambda trt: config(trt).set_flagg),
    "a misspelt property": (AttributeError, lambda trt: setattr(config(trt), "profiling_verbosty", 1)),
    "a misspelt enumerator": (AttributeError, lambda trt: trt.ProfilingVerbosity.DETAILLED),
    "a misspelt class": (AttributeError, lambda trt: trt.Bulder),
    "a flag that strongly typed libraries lost": (AttributeError, lambda trt: trt.BuilderFlag.FP16),
    "an argument too many": (TypeError, lambda trt: config(trt).set_flag(trt.BuilderFlag.TF32, True)),
    "an argument too few": (TypeError, lambda trt: config(trt).set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE)),
    "an enumerator of another enum": (TypeError, lambda trt: config(trt).set_flag(trt.MemoryPoolType.WORKSPACE)),
    "a number for an enumerator": (TypeError, lambda trt: config(trt).set_flag(1)),
    "nothing for an enumerator": (TypeError, lambda trt: config(trt).set_flag(None)),
    "a float for a number": (TypeError, lambda trt: trt.Builder(logger(trt)).create_network(1.5)),
    "text for a number": (TypeError, lambda trt: trt.Builder(logger(trt)).create_network("1")),
    "another name for an argument": (TypeError, lambda trt: trt.Builder(logger(trt)).create_network(flag=0)),
    "a property of another type": (TypeError, lambda trt: setattr(config(trt), "builder_optimization_level", "high")),
    "a property that cannot be set": (AttributeError, lambda trt: setattr(config(trt), "num_optimization_profiles", 1)),
    "a class without constructor": (TypeError, lambda trt: trt.IBuilderConfig()),
}


@pytest.mark.parametrize(("error", "wrong"), WRONG.values(), ids=WRONG)
def test_what_the_real_library_refuses_the_double_refuses(error, wrong):
    with pytest.raises(error):
        wrong(real())
    with pytest.raises(error):
        wrong(building("tensorrt_rtx-1.7.1"))


def test_a_double_of_an_older_release_lacks_what_came_later():
    assert not hasattr(building("tensorrt-8.6.1"), "IProgressMonitor")
    assert not hasattr(building("tensorrt-8.6.1").BuilderFlag, "STRIP_PLAN")
    assert not hasattr(building("tensorrt-11.4.0").BuilderFlag, "FP16")
    assert building("tensorrt-8.6.1").BuilderFlag.FP16.value == 0


def test_memory_of_the_host_gives_its_bytes_and_has_no_methods_of_bytes():
    trt = building("tensorrt-10.3.0")
    builder = trt.Builder(logger(trt))
    plan = builder.build_serialized_network(builder.create_network(2), builder.create_builder_config())
    assert bytes(plan) == memoryview(plan).tobytes() == b"the plan"
    assert not hasattr(plan, "decode")


def test_an_overridden_method_must_take_what_the_library_gives():
    trt = building("tensorrt-10.3.0")

    class Monitor(trt.IProgressMonitor):
        def phase_start(self, phase_name, num_steps):
            pass

    builder, asked = trt.Builder(logger(trt)), config(trt)
    asked.progress_monitor = Monitor()
    with pytest.raises(TypeError, match="phase_start"):
        builder.build_serialized_network(builder.create_network(2), asked)


def test_signatures_of_three_binding_generators_are_read():
    pybind = (
        "f(*args, **kwargs)\nOverloaded function.\n\n1. f(self: a.b.Dims, n: typing.SupportsInt = 0) -> list[a.b.Dims]"
    )
    assert signatures(pybind, "f") == ["(self: Dims, n: SupportsInt = 0) -> list[Dims]"]
    boost = "\nf( (Event)arg1 [, (object)stream=None]) -> Event :\n    text"
    assert signatures(boost, "f") == ["(arg1: Event, stream: object = None) -> Event"]
    assert plain("nvonnxparser::IParserError") == "ParserError"
    assert plain("(kind: a.Kind = <Kind.LAST: 3>)") == "(kind: Kind = Kind.LAST)"
    found = parse("(hGraph, unsigned long long flags, shape: Tuple[int, int] = (1, 2)) -> None")
    assert found.parameters == (
        Parameter("hGraph", "", False), Parameter("flags", "", False), Parameter("shape", "Tuple[int,int]", True)
    )  # fmt: skip


def test_a_description_shows_what_can_be_set():
    class Kind:
        number = property(lambda self: 1)

        def method(self):
            """method(self: Kind, name: str) -> bool"""

    class Module:
        pass

    Module.Kind = Kind
    found = describe(Module)
    assert found["Kind"]["methods"]["method"] == ["(self, name: str) -> bool"]
    assert found["Kind"]["properties"] == {"number": ""}
