"""Colours and type of the pictures, on light and on dark paper.

The two accents are Okabe and Ito's blue and orange, which people tell apart whatever their
colour vision.
"""

from dataclasses import dataclass
from io import BytesIO

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

FONTS = ["Inter", "Helvetica Neue", "Arial", "Liberation Sans", "DejaVu Sans"]
DPI = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """The colours of one kind of paper."""

    paper: str
    panel: str
    """Behind each digit, and the empty part of a gauge."""
    ink: str
    faint: str
    """Text of second rank."""
    line: str
    asked: str
    """What the model asks for."""
    seven: str


LIGHT = Theme(
    paper="#ffffff",
    panel="#f1f3f5",
    ink="#1d2329",
    faint="#6b7680",
    line="#d5dae0",
    asked="#0072b2",
    seven="#c44f00",
)
DARK = Theme(
    paper="#14181d",
    panel="#222930",
    ink="#eceff2",
    faint="#98a3ad",
    line="#39424b",
    asked="#56b4e9",
    seven="#f0913a",
)


def png(figure: Figure, theme: Theme) -> bytes:
    """The figure as a PNG."""
    FigureCanvasAgg(figure)
    file = BytesIO()
    figure.savefig(file, format="png", dpi=DPI, facecolor=theme.paper, metadata={"Software": None})
    return file.getvalue()
