"""
A real Chromium without a window. Tests that need one skip, and say so, where none is installed.

CI's machine has none, and .ci/run does not install it: 81 MB and some hundred packages by apt, as root, on every run, for what
developers' machines test anyway. Where one is installed, its tests run, and nothing skips. SYNCENGINE_REQUIRE_BROWSER=1 makes a
missing one a failure.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)
PHONE, DESK = (375, 812), (1280, 900)


@contextmanager
def chromium(*, scripts: bool = True) -> Iterator[Chrome]:
    """A browser with a profile of its own; `scripts`: whether it runs JavaScript."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        reason = "no chromium and chromedriver on this machine (Debian: apt-get install chromium chromium-driver)"
        if os.environ.get("SYNCENGINE_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if not scripts:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        browser = webdriver.Chrome(options=options, service=Service(driver))
        try:
            yield browser
        finally:
            browser.quit()


def dress(browser: Chrome, size: tuple[int, int], scheme: str = "light") -> None:
    """Give the browser the size of a screen, and the colours that its owner likes."""
    width, height = size
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})


def picture(browser: Chrome, folder: Path, name: str) -> None:
    """Keep what is on the screen, for people to look at."""
    folder.mkdir(parents=True, exist_ok=True)
    browser.save_screenshot(str(folder / f"{name}.png"))
