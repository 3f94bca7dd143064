"""The gallery: the digits that the model asks for, beside as many at random.

All lengths are in points of a picture 900 wide, counted from its top left corner.
"""

from matplotlib.figure import Figure

from nextlabel_server.demo.digits import Digits
from nextlabel_server.demo.theme import Theme, png
from nextlabel_server.demo.trial import Trial

WIDTH, HEIGHT = 900, 872
MARGIN = 28
COLUMNS = 5
STEP_X, STEP_Y = 83, 70
TILE = 60
"""Side of a digit's square."""
TOP = 132
HALVES = (MARGIN, WIDTH - MARGIN - COLUMNS * STEP_X + STEP_X - TILE - 20)


def draw_gallery(digits: Digits, trial: Trial, theme: Theme) -> bytes:
    """The picture as a PNG: each digit with its rank and the model's probability of seven."""
    figure = Figure(figsize=(WIDTH / 100, HEIGHT / 100))
    page = figure.add_axes((0, 0, 1, 1))
    page.set(xlim=(0, WIDTH), ylim=(HEIGHT, 0))
    page.axis("off")
    return png(figure, theme)
