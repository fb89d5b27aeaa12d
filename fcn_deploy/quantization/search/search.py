"""Search the few layers to leave in float so that the whole INT8 graph stays within a budget on a labelled set."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fcn_deploy.card import ModelCard
from fcn_deploy.data.options import classes_of, open_for_model
from fcn_deploy.errors import SearchError
from fcn_deploy.quantization.search.cache import TensorCache
from fcn_deploy.quantization.search.images import PassResult, SearchImages
from fcn_deploy.quantization.search.judging import PassJudge, share_of_limit
from fcn_deploy.quantization.search.log import SearchLog
from fcn_deploy.quantization.search.options import SearchOptions
from fcn_deploy.quantization.search.result import LayerFinding, SearchReport
from fcn_deploy.quantization.search.smallest_set import Layers, smallest_set
from fcn_deploy.quantization.search.steps import SearchedNetwork, StepRunner
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.system.scratch import scratch_folder


def search_layers(
    network: SearchedNetwork,
    options: SearchOptions,
    log: Path,
    *,
    card: ModelCard | None,
    asked: Layers = (),
    identity: Mapping[str, Any],
    progress: Progress = SILENT,
) -> SearchReport:
    """Find the layers, or go on with a search whose log is there.

    Args:
        log: where steps are written if `options` names no file.
        asked: layers that the user keeps in float anyway.
        identity: plain data that says, with the search's own, whether a log is of this search.

    Raises:
        SearchError: the budget cannot be met, or not in the time; the message says how close it came.
        DataError: the set cannot be used or has no labels, or none of a class that has a limit.
        UnknownNameError: a limit is on a class that the set does not have.
        RecordError: the log is another search's, or damaged.
        OutputError: the disk is full.
        KeyboardInterrupt: Ctrl-C; the log keeps every finished step.
    """
    started = time.perf_counter()
    dataset = open_for_model(card, options.images, progress)
    with scratch_folder() as folder:
        cache = TensorCache(folder)
        classes = classes_of(card, dataset)
        options.budget.check(classes)
        images = SearchImages(
            dataset, classes, cache, options.radius, on_error=options.images.on_error, progress=progress
        )
        steps = SearchLog(Path(options.log or log), _key(network, images, identity), len(classes))
        progress.say(f"search log {steps.path}: {steps.found} steps are done")
        run = _Search(network, options, StepRunner(network, images, cache, steps, progress), classes, started)
        try:
            kept = run.choose()
        except SearchError as error:
            raise SearchError(f"{error}; {len(steps)} steps are in {steps.path}") from None
        except KeyboardInterrupt:
            progress.say(f"{len(steps)} steps are in {steps.path}; the same command goes on after them")
            raise
        return run.report(kept, images, steps, asked)


class OutOfTimeError(Exception):
    """The time budget is used up."""


class _Search:
    """One run of the search: sensitivities, then sets."""

    def __init__(
        self,
        network: SearchedNetwork,
        options: SearchOptions,
        steps: StepRunner,
        classes: tuple[str, ...],
        started: float,
    ) -> None:
        self._network, self._options, self._steps, self._classes = network, options, steps, classes
        self._started = started
        self._tried: dict[Layers, PassResult] = {}
        self._complete = True

    def choose(self) -> Layers:
        """Return the layers to keep, in the graph's order."""
        self._fp32 = self._steps.fp32()
        self._judge = PassJudge(self._options.budget, self._classes, self._fp32)
        self._judge.check()
        if self._meets_budget(()):
            return ()
        self._measure_layers()
        try:
            found = smallest_set(self._order(), self._meets_budget)
        except OutOfTimeError:
            self._complete = False
            found = self._best_that_meets()
        if found is None:
            raise SearchError(self._closest_attempt())
        return found

    def report(self, kept: Layers, images: SearchImages, log: SearchLog, asked: Layers) -> SearchReport:
        found, own = self._tried[self._in_order(kept)], [self._steps.logged(layer) for layer in self._network.layers]
        layers = tuple(
            LayerFinding(layer, None, None, None, layer in kept)
            if one is None
            else LayerFinding(layer, self._drop(one), one.changed, self._judge.hardest(one), layer in kept)
            for layer, one in zip(self._network.layers, own, strict=True)
        )
        return SearchReport(
            data=images.name,
            frames=images.frames,
            left_out=images.left_out,
            int8_judged=self._judge.judge(self._tried[()]),
            judged=self._judge.judge(found),
            fp32=self._fp32.mean_iou,
            int8=self._tried[()].mean_iou,
            found=found.mean_iou,
            changed=found.changed,
            layers=layers,
            recipe=(*asked, *self._in_order(kept)),
            complete=self._complete,
            log=log.path,
            steps=len(log),
            steps_before=log.found,
            own_seconds=sum(one.seconds for one in own if one is not None),
            own_cpu_seconds=sum(one.cpu_seconds for one in own if one is not None),
            pass_cpu_seconds=self._fp32.cpu_seconds,
            cached_bytes=self._steps.cached,
            seconds=time.perf_counter() - self._started,
        )

    def _measure_layers(self) -> None:
        """Measure each layer alone; stop early enough to try sets of layers."""
        passes = len(self._network.layers).bit_length() + 1
        reserve = passes * self._tried[()].seconds
        last = 0.0
        for layer in self._network.layers:
            known = self._steps.logged(layer)
            if known is None and self._remaining_seconds() < reserve + last:
                self._complete = False
                continue
            last = self._steps.int8_alone(layer).seconds if known is None else last

    def _order(self) -> list[str]:
        """Return the most sensitive first, and those that were not measured last."""

        def sensitivity(layer: str) -> tuple[bool, float, float]:
            one = self._steps.logged(layer)
            return (False, 0.0, 0.0) if one is None else (True, self._share(one), one.changed)

        return sorted(self._network.layers, key=sensitivity, reverse=True)

    def _meets_budget(self, layers: Layers) -> bool:
        ordered = self._in_order(layers)
        if ordered not in self._tried:
            if ordered and self._remaining_seconds() <= 0:
                raise OutOfTimeError
            self._tried[ordered] = self._steps.int8_except(ordered)
        return self._judge.passes(self._tried[ordered])

    def _best_that_meets(self) -> Layers | None:
        good = [layers for layers in self._tried if self._meets_budget(layers)]
        return min(good, key=len, default=None)

    def _closest_attempt(self) -> str:
        layers, closest = min(self._tried.items(), key=lambda item: (self._judge.missing(item[1]), len(item[0])))
        why = "no choice of layers passed" if self._complete else "the time was up before a choice of layers passed"
        unmet = "; ".join(each.line for each in self._judge.judge(closest) if each.verdict != "passed")
        return (
            f"{why}: FP32 has {self._fp32.mean_iou:.3f}, the closest came to {closest.mean_iou:.3f} with {len(layers)} "
            f"of {len(self._network.layers)} layers in float{self._named(layers)}; {unmet}; allow that "
            f"({self._judge.wider(closest).words}), or try another --method, more --max-images, or FP16"
        )

    def _named(self, layers: Layers) -> str:
        """Return in brackets: the names, or those that are not among them where they are fewer."""
        others = [layer for layer in self._network.layers if layer not in layers]
        if not layers:
            return ""
        return f" (all but {', '.join(others)})" if len(others) < len(layers) else f" ({', '.join(layers)})"

    def _drop(self, measured: PassResult) -> float:
        """Return points of mIoU below FP32."""
        return self._fp32.mean_iou - measured.mean_iou

    def _share(self, measured: PassResult) -> float:
        """Return the largest share of a limit that is lost."""
        return share_of_limit(self._judge.hardest(measured))

    def _in_order(self, layers: Layers) -> Layers:
        return tuple(layer for layer in self._network.layers if layer in layers)

    def _remaining_seconds(self) -> float:
        budget = self._options.time_budget
        return float("inf") if budget is None else budget - (time.perf_counter() - self._started)


def _key(network: SearchedNetwork, images: SearchImages, identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return what identifies a search: with equal keys, a step of one search is a step of the other."""
    # Four digits: ranges that differ in rounding alone, on a machine with other vector units, are the same.
    ranges = {name: [f"{edge:.4g}" for edge in edges] for name, edges in sorted(network.ranges.items())}
    return {
        **identity,
        "layers": list(network.layers),
        "ranges": hashlib.sha256(json.dumps(ranges).encode()).hexdigest(),
        "fp16": network.wide is not None and sorted(network.wide),
        "radius": images.radius,
        "images": len(images),
        "image_digest": images.digest,
    }
