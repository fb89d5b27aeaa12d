"""Say why a stage is at fault: the limits that it breaks, or how its labels and layers are beyond the tolerances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fcn_deploy.diagnosis.layer_errors import LayerError
from fcn_deploy.diagnosis.result import Change
from fcn_deploy.diagnosis.stage_labels import StageLabels
from fcn_deploy.diagnosis.tolerances import FEWEST_FOR_MIOU, ROUNDING, Tolerance, Tolerances
from fcn_deploy.metrics.budget import AccuracyBudget, Judgement, judge, judge_loss, not_judged, points_lost
from fcn_deploy.metrics.budget_words import allowed_words, moved


@dataclass(frozen=True)
class Rules:
    """What stages are judged by; classes: names, index = label."""

    tolerances: Tolerances
    budget: AccuracyBudget
    classes: tuple[str, ...]


def judge_stage(first: StageLabels, own: StageLabels, rules: Rules) -> tuple[Judgement, ...]:
    """Judge a stage against the first by every limit, as `bench` judges a row against its reference."""
    if not own.counts:
        return not_judged(rules.budget, "the images have no label maps")
    return judge(first.image_counts, own.image_counts, rules.budget, rules.classes)


def label_reasons(changes: Sequence[Change], limits: Tolerance, labelled: int, *, rounding: bool = False) -> list[str]:
    """Return how a stage's labels are beyond the limits; empty if they are not.

    Args:
        changes: against the stage before and against the first. Both must be beyond a limit: a stage that differs from
            a faulty one before it, or that hands on an earlier fault, is not at fault.
        labelled: images with a ground truth.
        rounding: whether all labels that differ are `only_rounding`.
    """
    reasons = []
    differing = min(1 - change.agreement.fraction for change in changes)
    if differing > limits.labels and not rounding:
        reasons.append(f"{differing:.2%} of the labels differ (tolerance {limits.labels:.2%})")
    losses = [points_lost(change.iou.mean) for change in changes if change.iou is not None]
    if labelled >= FEWEST_FOR_MIOU and losses and all(judge_loss(loss, limits.miou) == "broken" for loss in losses):
        least = min(losses, key=lambda loss: loss.value)
        reasons.append(f"mean IoU {moved(least.value)}; {allowed_words(limits.miou)}")
    return reasons


def only_rounding(largest_margin: float | None, largest_logit: float | None) -> bool:
    """Return whether labels differ only where the reference's two best logits are as good as equal in FP32.

    Args:
        largest_margin: between these two where a label differs; None if none does.
        largest_logit: of the reference; None if it gives no logits, and then nothing is known.
    """
    return largest_logit is not None and (largest_margin or 0.0) <= ROUNDING * largest_logit


def layer_reasons(layers: Sequence[LayerError], other: str) -> list[str]:
    """Return the layers out of line, in short; `other` is the stage whose tensors they were fed."""
    divergent_layers = [layer for layer in layers if layer.out_of_line]
    if not divergent_layers:
        return []
    more = f" and {len(divergent_layers) - 1} more" if len(divergent_layers) > 1 else ""
    return [f"{divergent_layers[0].name}{more} out of line when fed the tensors of {other}"]
