"""Which unlabeled items should be labeled next? Active learning as a gRPC service."""

from nextlabel._version import __version__

__all__ = ["__version__"]
