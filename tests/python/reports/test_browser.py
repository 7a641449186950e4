"""Opens the page about runs in a browser."""

import html
import json
import re
import shutil
import subprocess

import pytest
from PIL import Image

# Ends a copy of the page: writes down what the browser made of it.
PROBE = """
<script>
addEventListener("load", () => {
  const pictures = [...document.images];
  const box = document.createElement("pre");
  box.id = "probe";
  box.textContent = JSON.stringify({
    pictures: pictures.map((picture) => ({
      drawn: picture.complete && picture.naturalWidth > 0,
      width: picture.getBoundingClientRect().width,
      themed: picture.parentElement.tagName === "PICTURE",
      same: picture.currentSrc === picture.src,
    })),
    headings: [...document.querySelectorAll("h1, h2, h3")].map((heading) => ({
      text: heading.textContent, height: heading.getBoundingClientRect().height,
    })),
    window: innerWidth,
    wide: document.documentElement.scrollWidth,
    page: getComputedStyle(document.body).backgroundColor,
  });
  document.body.append(box);
});
</script>
"""


@pytest.fixture(scope="module")
def browser():
    found = map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
    command = next(filter(None, found), None)
    if command is None:
        pytest.skip("there is no Chromium to open the page in")
    return command


@pytest.fixture
def page(folder):
    return folder / "both.html"


def open_page(browser, page, folder, *options, size=(1200, 1000)):
    """Runs the browser on a page and returns the finished process."""
    return subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",  # root, as in containers, has none
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--enable-logging=stderr",
            f"--user-data-dir={folder / 'profile'}",
            f"--window-size={size[0]},{size[1]}",
            *options,
            page.as_uri(),
        ],
        capture_output=True,
        check=True,
        text=True,
        timeout=300,
    )


def probe(browser, page, folder, *options, size=(1200, 1000)):
    """Returns what `PROBE` writes down."""
    copy = folder / "probed.html"
    copy.write_text(page.read_text(encoding="utf-8") + PROBE, encoding="utf-8")
    result = open_page(browser, copy, folder, "--dump-dom", *options, size=size)
    assert "CONSOLE" not in result.stderr
    return json.loads(
        html.unescape(re.search(r'<pre id="probe">(.*?)</pre>', result.stdout, re.S).group(1))
    )


@pytest.mark.parametrize("width", [1200, 500])
def test_pictures_and_headings_are_drawn_within_the_page(browser, page, tmp_path, width):
    seen = probe(browser, page, tmp_path, size=(width, 1000))
    assert len(seen["pictures"]) == 3 + (3 + 1 + 2 + 5) + (3 + 2 + 5)
    assert all(picture["drawn"] and picture["width"] > 100 for picture in seen["pictures"])
    assert {"Results", "Stock against fastconv", "Activation maps"} <= {
        heading["text"] for heading in seen["headings"]
    }
    assert all(heading["height"] > 10 for heading in seen["headings"])
    assert seen["window"] == width
    assert seen["wide"] <= width  # tables scroll by themselves
    assert seen["page"] == "rgb(255, 255, 255)"
    assert all(picture["same"] for picture in seen["pictures"])


def test_a_dark_page_has_charts_of_its_own(browser, page, tmp_path):
    seen = probe(browser, page, tmp_path, "--blink-settings=preferredColorScheme=0")
    assert seen["page"] != "rgb(255, 255, 255)"
    assert [picture["same"] for picture in seen["pictures"]] == [
        not picture["themed"] for picture in seen["pictures"]
    ]
    assert all(picture["drawn"] for picture in seen["pictures"])


def test_a_screenshot_is_not_empty(browser, page, tmp_path):
    picture = tmp_path / "page.png"
    open_page(browser, page, tmp_path, f"--screenshot={picture}")
    with Image.open(picture) as image:
        assert image.size == (1200, 1000)
        colors = image.convert("RGB").getcolors(1 << 24)
    assert len(colors) > 100
    assert max(count for count, _ in colors) < 0.97 * 1200 * 1000
