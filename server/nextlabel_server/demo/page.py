"""The page: everything that was found, in one file that needs no other."""

import platform
from base64 import b64encode
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from nextlabel_server.demo import curves as rounds
from nextlabel_server.demo import findings, theme
from nextlabel_server.demo import trial as setup
from nextlabel_server.demo.curves import Curves
from nextlabel_server.demo.digits import Digits
from nextlabel_server.demo.table import order
from nextlabel_server.demo.trial import Trial

LIBRARIES = ("nextlabel", "numpy", "onnxruntime", "scikit-learn", "skl2onnx")


@dataclass(frozen=True, slots=True)
class Picture:
    """The same picture on light and on dark paper, as PNGs."""

    light: bytes
    dark: bytes


def render(
    digits: Digits, trials: list[Trial], curves: Curves, gallery: Picture, chart: Picture
) -> str:
    """The page as HTML."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters |= {"percent": findings.percent, "data_uri": _data_uri}
    template = environment.from_string(files(__package__).joinpath("page.html").read_text("utf-8"))
    return template.render(
        findings=findings,
        digits=digits,
        trials=trials,
        trial=trials[0],
        curves=curves,
        gallery=gallery,
        chart=chart,
        setup=setup,
        rounds=rounds,
        order=order,
        light=theme.LIGHT,
        dark=theme.DARK,
        versions={"Python": platform.python_version()}
        | {name: version(name) for name in LIBRARIES},
    )


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + b64encode(png).decode()
