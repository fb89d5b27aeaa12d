"""Compute segmentation metrics and their confidence intervals from label maps."""
