"""Describe TensorRT engines: the libraries, their GPUs, profiles and the sidecar file."""
