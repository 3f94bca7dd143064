"""Colours and type of the pictures, on light and on dark paper.

The two accents are near Okabe and Ito's blue and vermilion, which people tell apart whatever
their colour vision.
"""

from dataclasses import dataclass
from io import BytesIO

from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

FONTS = ("Inter", "Helvetica Neue", "Arial", "Liberation Sans", "DejaVu Sans")
FONT = next(name for name in FONTS if name in font_manager.get_font_names())
"""The best of these that there is; the last comes with matplotlib."""

# A point is then one pixel of a page, and two of the file: sharp on any screen.
POINTS_PER_INCH = 72
DPI = 2 * POINTS_PER_INCH


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """The colours of one kind of paper."""

    paper: str
    panel: str
    """Behind each digit, and the empty part of a gauge."""
    ink: str
    faint: str
    """Text of second rank, and what is random."""
    line: str
    asked: str
    """What the model asks for."""
    seven: str


LIGHT = Theme(
    paper="#ffffff",
    panel="#f1f3f6",
    ink="#1c2229",
    faint="#66717d",
    line="#d3d9e0",
    asked="#0068ab",
    seven="#c24a00",
)
DARK = Theme(
    paper="#12161b",
    panel="#20272e",
    ink="#edf0f3",
    faint="#9aa6b2",
    line="#3a444e",
    asked="#5ab6f0",
    seven="#f5914a",
)


def blank(width: int, height: int) -> tuple[Figure, Axes]:
    """A picture to draw on, in pixels of a page, counted from its top left corner."""
    figure = Figure(figsize=(width / POINTS_PER_INCH, height / POINTS_PER_INCH), dpi=DPI)
    page = figure.add_axes((0, 0, 1, 1))
    page.set_axis_off()
    page.set(xlim=(0, width), ylim=(height, 0))
    return figure, page


def write(
    page: Axes,
    x: float,
    y: float,
    text: str,
    color: str,
    size: float,
    *,
    weight: str = "normal",
    align: str = "left",
) -> None:
    """Writes text with its baseline at (x, y); `size` is in pixels too."""
    page.text(
        x,
        y,
        text,
        color=color,
        fontfamily=FONT,
        fontsize=size,
        fontweight=weight,
        horizontalalignment=align,
        verticalalignment="baseline",
    )


def png(figure: Figure, theme: Theme) -> bytes:
    """The picture as a PNG of at most 64 colours, a third of the size of one with all."""
    figure.set_facecolor(theme.paper)
    colors, size = FigureCanvasAgg(figure).print_to_buffer()  # type: ignore[no-untyped-call]  # untyped
    picture = Image.frombytes("RGBA", size, colors).convert("RGB")
    file = BytesIO()
    picture.quantize(64, dither=Image.Dither.NONE).save(file, format="PNG", optimize=True)
    return file.getvalue()
