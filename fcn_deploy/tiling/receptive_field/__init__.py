"""Compute which input pixels each output pixel of a graph depends on."""
