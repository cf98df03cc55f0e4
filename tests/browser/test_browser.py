"""What a person would see in a browser: a notebook runs in JupyterLab, a report opens from disk; neither calls anyone outside."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium found: `apt-get install chromium`, or Chrome, brings one"),
]

# A click before the kernel is connected does nothing, silently: wait for the connection, not for the look of it.
READY = """() => {
    const widget = window.jupyterapp?.shell?.currentWidget, kernel = widget?.sessionContext?.session?.kernel;
    return Boolean(kernel && widget.context.isReady && kernel.connectionStatus === 'connected' && kernel.status === 'idle'
        && window.jupyterapp.commands.isEnabled('runmenu:run-all'));
}"""
FINISHED = """() => {
    const widget = window.jupyterapp.shell.currentWidget;
    const code = widget.content.widgets.filter(cell => cell.model.type === 'code' && cell.model.sharedModel.getSource().trim());
    const outputs = code.flatMap(cell => cell.model.sharedModel.getOutputs());
    const failed = outputs.some(output => output.output_type === 'error');
    return failed || (widget.sessionContext.session.kernel.status === 'idle'
        && code.every(cell => cell.model.executionCount !== null && cell.promptNode?.textContent !== '[*]:'));
}"""
OUTPUTS = """() => window.jupyterapp.shell.currentWidget.content.widgets
    .filter(cell => cell.model.type === 'code').flatMap(cell => cell.model.sharedModel.getOutputs())"""


@dataclass
class Window:
    """A page, the requests that left this machine, and the errors that its console showed."""

    page: object
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@contextmanager
def browser_window(allowed: tuple[str, ...]) -> Iterator[Window]:
    """A fresh page of a headless Chromium. Requests to anything but the allowed beginnings are written down and refused."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=QUIET)
        window = Window(browser.new_page(viewport={"width": 1300, "height": 1800}))

        def decide(route):
            if route.request.url.startswith((*allowed, "data:", "blob:")):
                route.continue_()
            else:
                window.outside.append(route.request.url)
                route.abort()

        window.page.route("**/*", decide)
        window.page.on("console", lambda message: window.errors.append(message.text) if message.type == "error" else None)
        window.page.on("pageerror", lambda error: window.errors.append(str(error)))
        try:
            yield window
        finally:
            browser.close()


@pytest.fixture
def lab(tmp_path) -> Iterator[tuple[str, Path]]:
    """A JupyterLab on an empty folder, with settings of its own; its address and the folder."""
    folder, home = tmp_path / "lab", tmp_path / "home"
    folder.mkdir()
    (home / "settings").mkdir(parents=True)
    overrides = {
        "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},  # every cell stays in the page
        "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    }
    (home / "settings" / "overrides.json").write_text(json.dumps(overrides), encoding="utf-8")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", "--IdentityProvider.token=", f"--ServerApp.root_dir={folder}"]
    command += [f"--LabApp.app_settings_dir={home / 'settings'}", "--LabApp.expose_app_in_browser=True"]
    command += ["--LabApp.extension_manager=readonly"]
    own = {"JUPYTER_CONFIG_DIR": "config", "JUPYTERLAB_SETTINGS_DIR": "user", "JUPYTERLAB_WORKSPACES_DIR": "workspaces"}
    own["SHIPWORTHY_OUTPUTS"] = "outputs"
    environment = {**os.environ, **{name: str(home / place) for name, place in own.items()}}
    log = home / "lab.log"
    with log.open("wb") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            for _ in range(480):
                with suppress(OSError), urllib.request.urlopen(f"{address}/api", timeout=1) as answer:
                    if answer.status == 200:
                        break
                assert server.poll() is None, log.read_text(encoding="utf-8")[-2000:]
                time.sleep(0.25)
            else:
                pytest.fail(f"JupyterLab did not answer within two minutes: {log.read_text(encoding='utf-8')[-2000:]}")
            yield address, folder
        finally:
            server.terminate()
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def test_the_tour_runs_in_jupyterlab(lab, tmp_path):
    """`00_tour`, opened in JupyterLab and run from top to bottom, shows results, no error, and asks nobody outside."""
    address, folder = lab
    shutil.copy(ROOT / "notebooks" / "00_tour.ipynb", folder)
    with browser_window((address, address.replace("http", "ws", 1))) as window:
        page = window.page
        page.goto(f"{address}/lab/tree/00_tour.ipynb", timeout=120_000)
        page.wait_for_function(READY, timeout=120_000)
        page.evaluate("() => window.jupyterapp.commands.execute('runmenu:run-all')")
        page.wait_for_function(FINISHED, timeout=180_000, polling=250)
        outputs = page.evaluate(OUTPUTS)
        figures = page.locator(".jp-OutputArea-output svg[role=img]").count()
        verdicts = page.locator(".jp-OutputArea-output .shipworthy .card").count()
        page.screenshot(path=tmp_path / "tour.png")
    assert [f"{o['ename']}: {o['evalue']}" for o in outputs if o["output_type"] == "error"] == []
    assert figures == 3
    assert verdicts == 1
    assert window.outside == []


def test_the_sliders_move_the_pick(lab, tmp_path):
    """`08_simulate_ensembles` runs in JupyterLab, and moving the latency slider moves the pick and its sentence at once."""
    address, folder = lab
    shutil.copy(ROOT / "notebooks" / "08_simulate_ensembles.ipynb", folder)
    with browser_window((address, address.replace("http", "ws", 1))) as window:
        page = window.page
        page.goto(f"{address}/lab/tree/08_simulate_ensembles.ipynb", timeout=120_000)
        page.wait_for_function(READY, timeout=120_000)
        page.evaluate("() => window.jupyterapp.commands.execute('runmenu:run-all')")
        page.wait_for_function(FINISHED, timeout=300_000, polling=250)
        outputs = page.evaluate(OUTPUTS)
        assert [f"{o['ename']}: {o['evalue']}" for o in outputs if o["output_type"] == "error"] == []
        sliders = page.locator(".widget-slider .noUi-handle")
        sliders.first.wait_for(timeout=60_000)
        assert sliders.count() == 2
        box = page.locator(".widget-vbox").first
        before = box.locator("b").inner_text()
        drawn = box.locator("svg[role=img]").get_attribute("aria-label")
        sliders.first.focus()
        page.keyboard.press("Home")
        box.locator("b", has_text="nothing that was simulated can be built").wait_for(timeout=30_000)
        page.keyboard.press("End")
        box.locator("b", has_text="build ").wait_for(timeout=30_000)
        after = box.locator("b").inner_text()
        box.scroll_into_view_if_needed()
        page.screenshot(path=tmp_path / "sliders.png")
    assert re.match(r"With a budget of [\d.]+ ms and 200 MiB, build ", before), before
    assert after != before
    assert drawn
    assert window.outside == []


STUDY = """
name: page
question: Does the page open?
datasets: [breast_cancer]
candidates: [prior, logistic_regression, soft_vote]
requirements: [{name: fast, quantity: latency_ms, statistic: p99, at_most: 50, scenario: single_stream}]
prices: {as_of: "2026-03", source: made up, vcpu_hour_usd: 0.04, gib_hour_usd: 0.004}
training: {max_train_rows: 150, folds: 2, search_trials: 1}
measuring: {queries: 40, rounds: 1, warm_up: 5, batch_sizes: [16], batch_repeats: 2}
"""


@pytest.mark.study
def test_a_report_opens_from_disk(tmp_path):
    """report.html opens from disk with its headings and figures, nothing loaded from elsewhere, and no error in the console."""
    from shipworthy.study import run_study

    file = tmp_path / "page.yaml"
    file.write_text(STUDY, encoding="utf-8")
    outcome = run_study(str(file), outputs=tmp_path / "outputs")
    assert outcome.failed == ()
    copied = tmp_path / "alone" / "report.html"
    copied.parent.mkdir()
    shutil.copy(outcome.run.report, copied)  # away from its folder: one file must be enough
    with browser_window((copied.as_uri(),)) as window:
        page = window.page
        page.goto(copied.as_uri(), timeout=60_000)
        page.wait_for_load_state("load")
        heading = page.locator("h1").first.inner_text()
        drawn = page.evaluate("() => [...document.images].every(i => i.complete && i.naturalWidth > 0)")
        figures = page.locator("svg, img").count()
        width = page.evaluate("() => [document.documentElement.scrollWidth, window.innerWidth]")
        page.screenshot(path=tmp_path / "report.png", full_page=True)
    assert heading.strip()
    assert drawn
    assert figures > 0
    assert width[0] <= width[1]
    assert window.outside == []
    assert window.errors == []
