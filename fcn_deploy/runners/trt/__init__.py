"""Run TensorRT engines."""
