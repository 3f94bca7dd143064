"""Time and memory against N, in the look of the demo's pictures."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from nextlabel_server.demo.theme import FONT, LIGHT, blank, png, write

WIDTH, HEIGHT = 900, 560
TOP, BOTTOM = 96, 506
LEFTS = (66, 508)
PLOT_WIDTH = 262
NAME_HEIGHT = 14.5


def draw(
    counts: Sequence[int],
    seconds: Mapping[str, Sequence[float]],
    peak: Mapping[str, Sequence[float]],
) -> bytes:
    """The picture as a PNG: a line for each strategy, in seconds and in bytes."""
    figure, page = blank(WIDTH, HEIGHT)
    write(page, 32, 42, "Ten times the rows, ten times the time", LIGHT.ink, 22, weight="bold")
    panels = (("seconds", seconds, 1.0), ("peak memory of the server, MiB", peak, 2.0**20))
    for left, (title, values, unit) in zip(LEFTS, panels, strict=True):
        write(page, left, 76, title, LIGHT.faint, 14)
        size = (PLOT_WIDTH / WIDTH, (BOTTOM - TOP) / HEIGHT)
        plot = figure.add_axes((left / WIDTH, 1 - BOTTOM / HEIGHT, *size))
        scaled = {name: np.array(own) / unit for name, own in values.items()}
        _style(plot, counts)
        for own in scaled.values():
            plot.plot(counts, own, color=LIGHT.asked, linewidth=1.6, alpha=0.6)
        _linear(plot, counts, max(own[0] for own in scaled.values()) * 1.3)
        _names(plot, counts, scaled)
    return png(figure, LIGHT)


def _style(plot: Axes, counts: Sequence[int]) -> None:
    plot.set(xscale="log", yscale="log")
    plot.set_facecolor("none")
    plot.spines[:].set_visible(False)
    plot.grid(axis="y", color=LIGHT.line, linewidth=1)
    plot.xaxis.set_minor_locator(NullLocator())
    plot.yaxis.set_minor_locator(NullLocator())
    plot.set_xticks(counts, [f"{count:,}" for count in counts])
    plot.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    plot.tick_params(length=0, pad=8, labelsize=12, labelcolor=LIGHT.ink, labelfontfamily=FONT)


def _linear(plot: Axes, counts: Sequence[int], start: float) -> None:
    """What a slope of 1 looks like."""
    ends = np.array([counts[0], counts[-1]])
    plot.plot(ends, start * ends / ends[0], color=LIGHT.seven, linewidth=1.4, linestyle=(0, (4, 3)))
    middle = np.sqrt(ends[0] * ends[1])
    plot.annotate(
        "linear",
        (middle, start * middle / ends[0]),
        (-6, 4),
        textcoords="offset points",
        color=LIGHT.seven,
        fontfamily=FONT,
        fontsize=13,
        horizontalalignment="right",
    )


def _names(plot: Axes, counts: Sequence[int], values: Mapping[str, np.ndarray]) -> None:
    """Names at the ends of the lines, pushed apart where they would overlap."""
    low, high = np.log(plot.get_ylim())
    names = sorted(values, key=lambda name: values[name][-1])
    ends = [(np.log(values[name][-1]) - low) / (high - low) * (BOTTOM - TOP) for name in names]
    places = _apart(ends, BOTTOM - TOP)
    for name, end, place in zip(names, ends, places, strict=True):
        plot.annotate(
            name,
            (counts[-1], values[name][-1]),
            (26, place - end),
            textcoords="offset points",
            color=LIGHT.ink,
            fontfamily=FONT,
            fontsize=11.5,
            verticalalignment="center",
            arrowprops={
                "arrowstyle": "-",
                "color": LIGHT.line,
                "relpos": (0, 0.5),
                "shrinkA": 2,
                "shrinkB": 3,
            },
        )


def _apart(ends: list[float], highest: float) -> list[float]:
    """Heights near `ends`, ascending, with room for a name between any two."""
    places: list[float] = []
    for end in ends:
        places.append(max(end, places[-1] + NAME_HEIGHT) if places else end)
    above = highest + NAME_HEIGHT
    for i in reversed(range(len(places))):
        above = places[i] = min(places[i], above - NAME_HEIGHT)
    return places
