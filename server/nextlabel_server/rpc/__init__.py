"""The gRPC edge: bytes to queries, and answers and errors back to bytes."""
