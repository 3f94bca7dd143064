"""The gallery: the digits that the model asks for, beside as many at random.

Lengths are pixels of a page, from its top left corner.
"""

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import FancyBboxPatch, Rectangle

from nextlabel_server.demo.digits import Digits
from nextlabel_server.demo.theme import Theme, blank, png, write
from nextlabel_server.demo.trial import BUDGET, RANDOM, STRATEGIES, TRAINING_ROWS, Trial

WIDTH, HEIGHT = 900, 820
LEFT, RIGHT = 32, 470
HALF = 398
COLUMNS, ROWS = 5, 10
STEP_X, STEP_Y = 81, 60
TOP = 158
SIDE = 50
"""Of a digit's square."""
GAUGE = 4


def draw_gallery(digits: Digits, trial: Trial, theme: Theme) -> bytes:
    """The picture as a PNG."""
    figure, page = blank(WIDTH, HEIGHT)
    title = f"Which {BUDGET} of {len(trial.pool):,} digits should be labeled next?"
    write(page, LEFT, 50, title, theme.ink, 25, weight="bold")
    about = "A model that tells sevens from other digits asks for those it cannot decide on."
    write(page, LEFT, 76, about, theme.faint, 14)
    halves = (
        (LEFT, "What the model asks for", theme.asked, STRATEGIES[0]),
        (RIGHT, "Random", theme.faint, RANDOM),
    )
    for left, heading, color, strategy in halves:
        page.add_patch(Rectangle((left, 101), HALF, 3, color=color, linewidth=0))
        write(page, left, 132, heading, color, 17, weight="bold")
        count = f"{trial.sevens(strategy)} of {BUDGET} are sevens"
        write(page, left + HALF, 132, count, theme.ink, 14, align="right")
        _tiles(page, left, digits, trial, strategy, theme)
    _legend(page, theme)
    return png(figure, theme)


def _tiles(
    page: Axes, left: float, digits: Digits, trial: Trial, strategy: str, theme: Theme
) -> None:
    for place, pick in enumerate(trial.picks[strategy]):
        row, column = divmod(place, COLUMNS)
        x, y = left + column * STEP_X, TOP + row * STEP_Y
        _digit(page, x, y, digits.images[pick.id], theme, seven=bool(trial.is_seven[pick.index]))
        probability = float(trial.probability[pick.index])
        _gauge(page, x + SIDE + 4, y + 2, SIDE - 4, probability, theme)
        write(page, x + SIDE + 11, y + 11, str(place + 1), theme.faint, 9)
        percent = f"{100 * probability:.0f}"
        write(page, x + SIDE + 11, y + SIDE - 3, percent, theme.asked, 9.5, weight="bold")


def _digit(
    page: Axes,
    x: float,
    y: float,
    image: npt.NDArray[np.uint8],
    theme: Theme,
    *,
    seven: bool,
) -> None:
    _frame(page, x, y, SIDE, theme, seven=seven)
    # One colour throughout; where there is no ink the panel shows through.
    ink = np.empty((*image.shape, 4))
    ink[..., :3] = to_rgb(theme.seven if seven else theme.ink)
    ink[..., 3] = image / 255
    extent = (x, x + SIDE, y + SIDE, y)
    page.imshow(ink, extent=extent, interpolation="bicubic", aspect="auto", zorder=2)


def _frame(page: Axes, x: float, y: float, side: float, theme: Theme, *, seven: bool) -> None:
    page.add_patch(
        FancyBboxPatch(
            (x, y),
            side,
            side,
            boxstyle=f"round,pad=0,rounding_size={side / 10}",
            facecolor=theme.panel,
            edgecolor=theme.seven if seven else theme.panel,
            linewidth=1.6,
        )
    )


def _gauge(page: Axes, x: float, y: float, height: float, probability: float, theme: Theme) -> None:
    full = probability * height
    page.add_patch(Rectangle((x, y), GAUGE, height, color=theme.line, linewidth=0))
    page.add_patch(Rectangle((x, y + height - full), GAUGE, full, color=theme.asked, linewidth=0))


def _legend(page: Axes, theme: Theme) -> None:
    y = TOP + ROWS * STEP_Y + 34
    _frame(page, LEFT + 1, y - 12, 14, theme, seven=True)
    write(page, LEFT + 23, y, "a seven", theme.ink, 12)
    _gauge(page, LEFT + 92, y - 13, 16, 0.5, theme)
    write(page, LEFT + 102, y, "50", theme.asked, 12, weight="bold")
    write(page, LEFT + 124, y, "the model’s probability of seven, in %", theme.ink, 12)
    write(page, LEFT + 358, y, "1", theme.faint, 12)
    write(page, LEFT + 370, y, "rank", theme.ink, 12)
    source = f"logistic regression, trained on {TRAINING_ROWS:,} other digits of MNIST"
    write(page, RIGHT + HALF, y, source, theme.faint, 12, align="right")
