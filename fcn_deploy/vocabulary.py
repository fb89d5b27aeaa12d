"""Name the tensors of the contract: `image` in, `labels` or `logits` out."""

from __future__ import annotations

INPUT = "image"
LABELS = "labels"
LOGITS = "logits"
