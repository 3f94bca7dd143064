"""The learning curves as a picture. Lengths are pixels of a page, from its top left corner."""

from typing import Literal

from matplotlib.axes import Axes
from matplotlib.ticker import MultipleLocator, PercentFormatter, StrMethodFormatter

from nextlabel_server.demo.curves import CHOOSING, COMPARED, FINAL_LABELS, LABELS, Curves
from nextlabel_server.demo.theme import FONT, Theme, blank, png, write
from nextlabel_server.demo.trial import RANDOM

WIDTH, HEIGHT = 900, 500
LEFT, RIGHT = 32, 868
PLOT_LEFT, PLOT_TOP, PLOT_BOTTOM = 84, 104, 430
NAME_AT = 1_500
"""Labels where the names of the curves are centred."""


def draw_chart(curves: Curves, theme: Theme) -> bytes:
    """The picture as a PNG: accuracy over labels, the mean of all seeds and their spread."""
    figure, page = blank(WIDTH, HEIGHT)
    write(page, LEFT, 50, _title(curves), theme.ink, 25, weight="bold")
    about = "Accuracy on digits that nobody learns from."
    if curves.seeds > 1:
        about += f" Lines: mean of {curves.seeds} shuffles. Bands: ± 1 standard deviation."
    write(page, LEFT, 76, about, theme.faint, 14)
    left, bottom = PLOT_LEFT / WIDTH, 1 - PLOT_BOTTOM / HEIGHT
    width, height = (RIGHT - PLOT_LEFT) / WIDTH, (PLOT_BOTTOM - PLOT_TOP) / HEIGHT
    plot = figure.add_axes((left, bottom, width, height))
    means = [curves.mean(strategy) for strategy in COMPARED]
    plot.set_ylim(
        min(mean.min() for mean in means) - 0.01, max(mean.max() for mean in means) + 0.004
    )
    _style(plot, theme)
    _curve(plot, curves, RANDOM, theme.faint)
    _curve(plot, curves, CHOOSING, theme.asked)
    _goal(plot, curves, theme)
    return png(figure, theme)


def _title(curves: Curves) -> str:
    chosen, random = (curves.labels_needed(strategy) for strategy in (CHOOSING, RANDOM))
    if chosen is None:
        return f"Up to {FINAL_LABELS:,} labels, random ones do as well"
    return f"{chosen:,} chosen labels do what {random:,} random ones do"


def _style(plot: Axes, theme: Theme) -> None:
    plot.set_facecolor("none")
    plot.set_xlim(0, FINAL_LABELS + 20)
    plot.spines[:].set_visible(False)
    plot.xaxis.set_major_locator(MultipleLocator(250))
    plot.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    plot.yaxis.set_major_locator(MultipleLocator(0.01))
    plot.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    plot.grid(axis="y", color=theme.line, linewidth=1)
    plot.set_axisbelow(True)
    plot.tick_params(length=0, pad=8, labelsize=13, labelcolor=theme.ink, labelfontfamily=FONT)
    plot.set_xlabel("labels", color=theme.ink, fontfamily=FONT, fontsize=13, labelpad=8)


def _curve(plot: Axes, curves: Curves, strategy: str, color: str) -> None:
    mean, spread = curves.mean(strategy), curves.accuracy[strategy].std(axis=0)
    plot.fill_between(LABELS, mean - spread, mean + spread, color=color, alpha=0.18, linewidth=0)
    plot.plot(LABELS, mean, color=color, linewidth=2.5, solid_capstyle="round")
    near = abs(LABELS - NAME_AT) <= 250
    if strategy == CHOOSING:
        at = (NAME_AT, (mean + spread)[near].max())
        _note(plot, "what the model asks for", at, (0, 6), color, "center", "bottom")
    else:
        at = (NAME_AT, (mean - spread)[near].min())
        _note(plot, "random", at, (0, -6), color, "center", "top")


def _goal(plot: Axes, curves: Curves, theme: Theme) -> None:
    """Marks where each learner reaches what random labels end with."""
    goal, bottom = curves.goal, plot.get_ylim()[0]
    plot.axhline(goal, color=theme.ink, linewidth=1, linestyle=(0, (4, 3)))
    for strategy, color in ((CHOOSING, theme.asked), (RANDOM, theme.faint)):
        needed = curves.labels_needed(strategy)
        if needed is None:
            continue
        plot.vlines(needed, bottom, goal, color=color, linewidth=1.2, linestyle=(0, (1, 2)))
        plot.plot(
            needed,
            goal,
            marker="o",
            markersize=10,
            markerfacecolor=theme.paper,
            markeredgecolor=color,
            markeredgewidth=2.5,
        )
        side: Literal["left", "right"] = "left" if needed < FINAL_LABELS / 2 else "right"
        offset = (6 if side == "left" else -6, 8)
        _note(plot, f"{needed:,}", (needed, bottom), offset, color, side, "bottom")


def _note(
    plot: Axes,
    text: str,
    at: tuple[float, float],
    offset: tuple[float, float],
    color: str,
    horizontal: Literal["left", "center", "right"],
    vertical: Literal["bottom", "top"],
) -> None:
    """Writes text beside a point of the plot; `offset` is in pixels, upwards."""
    plot.annotate(
        text,
        at,
        offset,
        textcoords="offset points",
        color=color,
        fontfamily=FONT,
        fontsize=15,
        fontweight="bold",
        horizontalalignment=horizontal,
        verticalalignment=vertical,
    )
