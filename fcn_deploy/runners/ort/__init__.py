"""Run ONNX files with ONNX Runtime."""
