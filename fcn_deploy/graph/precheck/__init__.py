"""Check an ONNX file before a library opens it, without loading its weights."""
