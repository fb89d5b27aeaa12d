"""Rewrite the nodes and types of an ONNX graph, one rewrite per module."""
