"""The nextlabel server: query strategies and ONNX models behind a gRPC service."""

import os

# ONNX Runtime sends telemetry unless this is set before anything imports it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
