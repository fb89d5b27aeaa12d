"""Compile an ONNX file into a TensorRT engine in a process of its own."""
