"""A real browser for the tests of pages, where Chromium and its driver are installed."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# What a browser would ask of its makers when it starts is not wanted here.
FLAGS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
needs_a_browser = pytest.mark.skipif(
    BROWSER is None or find_spec("playwright") is None,
    reason="no browser: apt-get install chromium, pip install -e '.[browser]'",
)


@contextmanager
def running_browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, args=FLAGS, chromium_sandbox=False)
        yield browser
        browser.close()
