"""Manage GPU contexts, memory, streams and CUDA graphs through PyCUDA."""
