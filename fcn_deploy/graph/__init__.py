"""Read, check and write ONNX files, and answer questions about their nodes and tensors."""
