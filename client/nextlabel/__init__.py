"""Which unlabeled items should be labeled next? Active learning as a gRPC service."""
