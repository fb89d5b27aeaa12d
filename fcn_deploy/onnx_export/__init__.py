"""Turn a PyTorch network into an ONNX file that is proven to give the same result: `fcn-deploy export`."""
