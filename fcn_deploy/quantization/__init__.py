"""Rewrite an FP32 ONNX file to FP16 or INT8: `fcn-deploy quantize`."""
