"""Names of TensorRT in the sources, and the claims of the table of flavors, against what each release offers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fcn_deploy.engine.builder.compile import compile_plan
from fcn_deploy.engine.builder.parse import parse
from fcn_deploy.engine.flavors import TABLE, traits_of
from fcn_deploy.errors import EngineError, RunnerError
from fcn_deploy.runners.engine_options import TrtOptions
from fcn_deploy.runners.trt.runner import TrtRunner
from tests.api.bindings import RELEASES, read
from tests.api.sources import FILES, PACKAGE, attributes, module_names
from tests.support.fakes.machine import Machine
from tests.support.fakes.tensorrt_module import Engine, TensorFormat, plan_header
from tests.support.tensorrt_api import ASKED, builds, every_release, job, runs, version_of, write_engine
from tests.support.tensorrt_nets import PROFILES, net, noise  # noqa: F401  (a fixture)

# What some releases lack -> where it is used all the same. Anything else is used everywhere.
ONLY = {
    "BuilderFlag.FP16": lambda traits: traits.explicit_batch,
    "BuilderFlag.INT8": lambda traits: traits.explicit_batch,
    "NetworkDefinitionCreationFlag.EXPLICIT_BATCH": lambda traits: traits.explicit_batch,
    "NetworkDefinitionCreationFlag.STRONGLY_TYPED": lambda traits: traits.typed_flag,
    "IProgressMonitor": lambda traits: traits.monitor,
    "BuilderFlag.STRIP_PLAN": lambda traits: "strip" not in traits.refused,
    "ComputeCapability": lambda traits: traits.names_targets,
    "CudaGraphStrategy.WHOLE_GRAPH_CAPTURE": lambda traits: traits.runtime_config,
    "OnnxParserRefitter": lambda traits: not traits.explicit_batch,
    "SerializationFlag.INCLUDE_REFIT": lambda traits: not (traits.explicit_batch or traits.typed_flag),
    # These two are asked of the module: the runner does without.
    "EngineInvalidityDiagnostics": lambda traits: traits.names_targets,
    "ExecutionContextAllocationStrategy.USER_MANAGED": lambda traits: not traits.explicit_batch,
}

# Attributes of our own dataclasses that some class of TensorRT has too; and what is called when a process ends.
OURS = {"builder", "engine"}
AT_EXIT = {"detach"}


def offers(description, name):
    """Whether a module has a class, or a class a member."""
    kind, _, member = name.rpartition(".")
    told = description.get(kind or name)
    return told is not None and (not kind or any(member in told.get(part, ()) for part in told if part != "bases"))


def traits(release):
    return traits_of(release.flavor, version_of(release))


@every_release
def test_every_class_and_enumerator_that_the_sources_name_is_there_or_the_table_keeps_it_away(release):
    names = set().union(*map(module_names, FILES))
    assert {"BuilderFlag.FP16", "TensorIOMode.INPUT", "Runtime", "ILogger"} <= names
    used = {name for name in names if ONLY.get(name, lambda traits: True)(traits(release))}
    assert {name for name in used if not offers(read(release.title), name)} == set()


def test_no_other_source_takes_a_name_from_tensorrt():
    assert {path.name for path in PACKAGE.rglob("*.py") if path not in FILES and module_names(path)} == set()


def test_nothing_that_every_release_has_is_reported_missing():
    for name in ONLY:
        assert not all(offers(read(release.title), name) for release in RELEASES), name


@every_release
def test_the_table_claims_of_a_release_what_its_bindings_offer(release):
    found, description = traits(release), read(release.title)
    assert found.monitor == offers(description, "IProgressMonitor")
    assert found.node_names == offers(description, "ParserError.node_name")
    assert found.names_targets == offers(description, "IBuilderConfig.set_compute_capability")
    assert found.runtime_config == offers(description, "IRuntimeConfig.create_runtime_cache")
    assert found.explicit_batch != offers(description, "NetworkDefinitionCreationFlag.STRONGLY_TYPED")
    if not (found.explicit_batch or found.typed_flag) and release.version != "1.4.0":  # 1.4 has them and ignores them
        assert not offers(description, "BuilderFlag.FP16")


def test_every_line_of_the_table_is_compared_with_a_release():
    held = {(release.flavor, traits(release).title) for release in RELEASES}
    assert held == {(name, entry.title) for (name, _, _), entry in TABLE.items()}


def test_every_member_that_the_sources_name_is_driven_over_a_double_here(monkeypatch, tmp_path, net):  # noqa: F811
    """What was not touched in these builds and runs would not have been held against any release."""
    touched = set()
    for release in RELEASES:
        touched |= drive_build(release, tmp_path) | drive_run(release, monkeypatch, net)
    members = {member for title, name in touched for member in members_of(title, name.rpartition(".")[0])}
    driven = {name.rpartition(".")[2] for _, name in touched}
    named = set().union(*map(attributes, FILES))
    assert {"set_shape", "execute_async_v3", "mem_alloc", "cuGraphLaunch"} <= named & members
    assert named & members - driven - OURS == AT_EXIT
    assert offers(read("pycuda.driver"), "Context.detach")


def members_of(title, kind):
    told = read(title) if not kind else read(title)[kind]
    if not kind:
        return {name for name, value in told.items() if isinstance(value, list)}
    return {*told["methods"], *(name for name, value in told["properties"].items() if value != "constant")}


def drive_build(release, folder):
    flavor, building = builds(release)
    for asked in ASKED.values():
        wanted = job(folder, **asked)
        if not any(flavor.refusal(name, has_gpu=True) for name in wanted.options.asked()):
            compile_plan(flavor, wanted)
    if release.version != "8.6.1":
        old = write_engine(folder / "old.engine", release, ASKED["refit"])
        compile_plan(flavor, replace(job(folder, refit=True), refit_from=old))
    building.errors = [{"desc": "bad"}]
    parse(flavor, folder / "net.onnx")
    return {(release.title, name) for name in flavor.module.touched}


def drive_run(release, monkeypatch, onnx):
    with monkeypatch.context() as patch:
        machine = Machine(patch)
        doubles = runs(release, patch)
        engine = machine.build(
            onnx, PROFILES, flavor=release.flavor, options={"version_compatible": True}, version="other"
        )
        for cuda_graphs in (False, release.version != "8.6.1"):
            with TrtRunner.open("tensorrt", str(engine), engine=TrtOptions(cuda_graphs=cuda_graphs)) as runner:
                for _ in runner.stream(noise((1, 33, 47)) for _ in range(9)):
                    pass
                runner.time_on_device = True
                runner.infer({"image": noise((1, 33, 47))}, on_gpu=True)
        machine.gpu.fail_next("create_execution_context")
        with pytest.raises(RunnerError, match="makes no execution context"):
            TrtRunner.open("tensorrt", str(engine))
        patch.setattr(Engine, "get_tensor_format", lambda engine, name: TensorFormat.CHW4)
        with pytest.raises(EngineError, match="expected LINEAR"):
            TrtRunner.open("tensorrt", str(engine))
        engine.with_name(f"{engine.name}.json").unlink()
        engine.write_bytes(plan_header(release.flavor, 40) + bytes(12))
        with pytest.raises(EngineError, match="cannot load it"):
            TrtRunner.open("tensorrt", str(engine))
        titles = {name: release.title if name == release.flavor else name for name in doubles}
        return {(titles[name], touched) for name, double in doubles.items() for touched in double.touched}
