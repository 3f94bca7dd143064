"""The digits, and how they are shared out."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

FEWEST = 7_000
"""To learn from 2,000, and to have enough to choose from and to measure with."""

Rows = npt.NDArray[np.int64]
Pixels = npt.NDArray[np.float64]
Truth = npt.NDArray[np.bool_]


class UnusableData(Exception):
    """There are no digits where they should be; the text is for the user."""


@dataclass(frozen=True, slots=True, eq=False)
class Digits:
    """Handwritten digits, and the question that is asked about them: is it a seven?"""

    images: npt.NDArray[np.uint8]
    """[N, 28, 28] grey levels; 255 is ink."""
    labels: npt.NDArray[np.uint8]
    """[N] which digit it is."""
    pixels: Pixels
    """[N, 784] the same images for the model, 0 to 1."""
    is_seven: Truth
    """[N] the answer."""

    def __len__(self) -> int:
        return len(self.labels)


def load(path: Path) -> Digits:
    """Reads `images` and `labels` from an .npz file.

    Raises:
        UnusableData: there is no such file, or it holds something else.
    """
    if not path.is_file():
        raise UnusableData(
            f"no digits at {path}: they come with the repository as examples/mnist.npz, so run "
            "this there, or say where they are with --data PATH"
        )
    try:
        with np.load(path) as arrays:
            images, labels = arrays["images"], arrays["labels"]
    except (OSError, ValueError, KeyError, AttributeError):
        raise UnusableData(f"{path} is not an .npz file with images and labels") from None
    if images.shape[1:] != (28, 28) or images.dtype != np.uint8 or len(labels) != len(images):
        raise UnusableData(
            f"found images of shape {list(images.shape)} and {len(labels)} labels in {path}; "
            "uint8 images [N, 28, 28] and N labels are right"
        )
    if len(images) < FEWEST:
        raise UnusableData(
            f"found {len(images):,} digits in {path}; at least {FEWEST:,} are needed"
        )
    pixels = images.reshape(len(images), -1) / 255
    return Digits(images, labels, pixels, labels == 7)


def shuffled(digits: Digits, seed: int, first: int) -> tuple[Rows, Rows]:
    """Rows dealt at random into `first` of them and the rest."""
    rows = np.random.default_rng(seed).permutation(len(digits))
    return rows[:first], rows[first:]
