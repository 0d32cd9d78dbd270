"""report.html in a real browser: no text on another, nothing wider than the screen, no complaint.

Chromium runs headless and is told to make no connections of its own. The page itself forbids
scripts, so what measures is put into a copy without that.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest
from report_folder import write_folder

from mpa_hil.report.html import write

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
MEASURE = """
<script>
const found = [];
for (const svg of document.querySelectorAll("svg")) {
  const boxes = [...svg.querySelectorAll("text")].map(text => {
    const box = text.getBoundingClientRect();
    return {text: text.lastChild.textContent, left: box.left, right: box.right,
            top: box.top + 2, bottom: box.bottom - 2};
  }).filter(box => box.text);
  for (const [n, a] of boxes.entries())
    for (const b of boxes.slice(n + 1))
      if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)
        found.push(a.text + " on " + b.text);
}
const root = document.documentElement;
const told = {found, wide: root.scrollWidth, screen: root.clientWidth,
              drawn: document.querySelectorAll("svg").length,
              ground: getComputedStyle(document.body).backgroundColor};
document.body.setAttribute("data-told", JSON.stringify(told));
</script>
"""


@pytest.fixture
def browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium here: apt-get install --no-install-recommends chromium")
    return found


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return write(tmp_path, write_folder(tmp_path))


def run(browser: str, page: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What the browser wrote; its profile is gone with the test's folder."""
    profile = page.parent / "profile"
    command = (browser, *QUIET, f"--user-data-dir={profile}", *arguments, page.as_uri())
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)


def measured(browser: str, page: Path, *arguments: str) -> dict[str, object]:
    """What the measuring script found in a copy of the page."""
    text = re.sub(r"<meta http-equiv[^>]*>", "", page.read_text())
    copy = page.with_name("copy.html")
    copy.write_text(text.replace("</body>", f"{MEASURE}</body>"))
    dom = run(browser, copy, "--dump-dom", *arguments).stdout
    told = re.search(r'data-told="([^"]*)"', dom)
    assert told is not None
    answer: dict[str, object] = json.loads(unescape(told[1]))
    return answer


@pytest.mark.parametrize("width", [500, 800, 1360])
def test_nothing_overlaps_and_nothing_sticks_out(browser: str, page: Path, width: int) -> None:
    told = measured(browser, page, f"--window-size={width},2000")
    assert told["drawn"] == 4  # a ladder diagram, both directions of a flow, all runs
    assert told["found"] == []
    assert told["wide"] == told["screen"]


def test_a_dark_desktop_gets_a_dark_page(browser: str, page: Path) -> None:
    dark = measured(browser, page, "--blink-settings=preferredColorScheme=0")
    light = measured(browser, page, "--blink-settings=preferredColorScheme=1")
    assert dark["ground"] == "rgb(20, 23, 26)"
    assert light["ground"] == "rgb(255, 255, 255)"


def test_the_page_as_it_is_has_nothing_to_complain_of(browser: str, page: Path) -> None:
    shot = page.with_name("shot.png")
    logged = ("--enable-logging=stderr", "--v=0")
    said = run(browser, page, f"--screenshot={shot}", "--window-size=800,2000", *logged)
    assert "CONSOLE" not in said.stderr
    assert shot.read_bytes().startswith(b"\x89PNG")
