"""The learning curves as a picture. Lengths are pixels of a page, from its top left corner."""

from matplotlib.axes import Axes
from matplotlib.ticker import MultipleLocator, PercentFormatter, StrMethodFormatter

from nextlabel_server.demo.curves import CHOOSING, FINAL_LABELS, LABELS, RANDOM, Curves
from nextlabel_server.demo.theme import FONT, Theme, blank, png, write

WIDTH, HEIGHT = 900, 500
LEFT, RIGHT = 32, 868
PLOT_LEFT, PLOT_TOP, PLOT_BOTTOM = 84, 104, 430
LOWEST = 0.945
"""Accuracy at the bottom of the plot; the first labels, which both share, may lie below."""


def draw_chart(curves: Curves, theme: Theme) -> bytes:
    """The picture as a PNG: accuracy over labels, the mean of all seeds and their spread."""
    figure, page = blank(WIDTH, HEIGHT)
    write(page, LEFT, 50, _title(curves), theme.ink, 25, weight="bold")
    about = "Accuracy on digits that nobody learns from."
    if curves.seeds > 1:
        about += (
            f" Lines: mean of {curves.seeds} shuffles of the digits. Bands: ± 1 standard deviation."
        )
    write(page, LEFT, 76, about, theme.faint, 14)
    plot = figure.add_axes(
        (
            PLOT_LEFT / WIDTH,
            1 - PLOT_BOTTOM / HEIGHT,
            (RIGHT - PLOT_LEFT) / WIDTH,
            (PLOT_BOTTOM - PLOT_TOP) / HEIGHT,
        )
    )
    _frame(plot, theme)
    _curve(plot, curves, RANDOM, theme.faint)
    _curve(plot, curves, CHOOSING, theme.asked)
    _name(plot, curves, CHOOSING, "what the model asks for", theme.asked, above=True)
    _name(plot, curves, RANDOM, "random", theme.faint, above=False)
    _goal(plot, curves, theme)
    return png(figure, theme)


def _title(curves: Curves) -> str:
    asked, random = (curves.labels_needed(strategy) for strategy in (CHOOSING, RANDOM))
    if asked is None:
        return f"Up to {FINAL_LABELS:,} labels, random ones are as good"
    return f"{asked:,} labels asked for do what takes {random:,} at random"


def _frame(plot: Axes, theme: Theme) -> None:
    plot.set_facecolor("none")
    plot.set(xlim=(0, FINAL_LABELS + 20), ylim=(LOWEST, 0.986))
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


def _name(plot: Axes, curves: Curves, strategy: str, name: str, color: str, *, above: bool) -> None:
    """Writes what a curve is beside its right end."""
    accuracy = curves.accuracy[strategy][:, -12:]
    edge = accuracy.mean(axis=0) + (1 if above else -1) * accuracy.std(axis=0)
    plot.annotate(
        name,
        (FINAL_LABELS, edge.max() if above else edge.min()),
        xytext=(0, 8 if above else -8),
        textcoords="offset points",
        color=color,
        fontfamily=FONT,
        fontsize=15,
        fontweight="bold",
        horizontalalignment="right",
        verticalalignment="bottom" if above else "top",
    )


def _goal(plot: Axes, curves: Curves, theme: Theme) -> None:
    """Marks where each learner reaches what random labels end with."""
    plot.axhline(curves.goal, color=theme.ink, linewidth=1, linestyle=(0, (4, 3)))
    for strategy, color in ((CHOOSING, theme.asked), (RANDOM, theme.faint)):
        needed = curves.labels_needed(strategy)
        if needed is None:
            continue
        plot.plot(
            [needed, needed],
            [LOWEST, curves.goal],
            color=color,
            linewidth=1.2,
            linestyle=(0, (1, 2)),
        )
        plot.plot(
            needed,
            curves.goal,
            marker="o",
            markersize=10,
            markerfacecolor=theme.paper,
            markeredgecolor=color,
            markeredgewidth=2.5,
        )
        plot.annotate(
            f"{needed:,}",
            (needed, LOWEST),
            xytext=(6 if needed < FINAL_LABELS / 2 else -6, 8),
            textcoords="offset points",
            color=color,
            fontfamily=FONT,
            fontsize=15,
            fontweight="bold",
            horizontalalignment="left" if needed < FINAL_LABELS / 2 else "right",
        )
