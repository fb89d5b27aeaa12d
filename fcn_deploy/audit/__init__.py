"""Report what an ONNX file computes in which precision, and what TensorRT would reject: `fcn-deploy audit`."""
