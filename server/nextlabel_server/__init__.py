"""The nextlabel server: query strategies and ONNX models behind a gRPC service."""
