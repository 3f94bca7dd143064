"""The pictures and the page."""

import base64
import io
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from tests.demo.conftest import ROOT

LINKS = {"src", "href", "srcset", "action", "data", "poster"}
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--hide-scrollbars"),
)
SEVEN = (194, 74, 0)
"""The colour of sevens on light paper."""


def opened(png):
    """[height, width, 3] the colours of a picture."""
    with Image.open(io.BytesIO(png)) as picture:
        return np.asarray(picture.convert("RGB"), int)


class Links(HTMLParser):
    """Everything that a page refers to."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in LINKS]


def test_all_files_are_there_and_named(demo):
    names = ["gallery.png", "index.html", "learning-curves.png", "picks.csv"]
    assert sorted(path.name for path in demo.output.iterdir()) == names
    for name in names:
        assert f"wrote {demo.output / name}" in demo.stdout


def test_bars_go_to_standard_error_and_the_table_to_standard_output(demo):
    for task in ("train and export", "ask the server", "learn by asking"):
        assert task in demo.stderr
        assert task not in demo.stdout
    assert "least_confidence" in demo.stdout
    assert "least_confidence" not in demo.stderr


@pytest.mark.parametrize("name", ["gallery.png", "learning-curves.png"])
@pytest.mark.parametrize("place", ["output", "docs"])
def test_pictures_are_sharp_at_900_pixels_and_small(demo, name, place):
    path = demo.output / name if place == "output" else ROOT / "docs" / "images" / name
    assert path.stat().st_size < 300_000
    assert opened(path.read_bytes()).shape[1] == 1800


def test_the_page_refers_to_nothing_outside_itself(demo):
    assert "http://" not in demo.page
    assert "https://" not in demo.page
    assert "url(" not in demo.page
    assert "@import" not in demo.page
    assert all(link.startswith("data:image/png;base64,") for link in Links(demo.page).found)


def test_the_page_holds_both_pictures_on_light_and_on_dark_paper(demo):
    pictures = [base64.b64decode(link.partition(",")[2]) for link in Links(demo.page).found]
    assert len(pictures) == 4
    is_light = [bool(opened(picture)[0, 0].min() > 128) for picture in pictures]
    assert is_light == [False, True, False, True]
    assert (demo.output / "gallery.png").read_bytes() == pictures[1]
    assert (demo.output / "learning-curves.png").read_bytes() == pictures[3]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here to look at the page with")
@pytest.mark.parametrize("width", [500, 1200])
def test_a_browser_shows_the_page_with_its_pictures(demo, tmp_path, width):
    shot = tmp_path / "shot.png"
    subprocess.run(
        [
            CHROMIUM,
            *QUIET,
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--window-size={width},2400",
            f"--screenshot={shot}",
            (demo.output / "index.html").as_uri(),
        ],
        check=True,
        capture_output=True,
        timeout=30,
    )
    shown = opened(shot.read_bytes())
    assert (abs(shown - SEVEN).sum(axis=2) < 30).sum() > 500
