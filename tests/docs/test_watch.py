"""Watching the daemon: the page's commands are run in order, and it names every metric that there is and no other."""

from __future__ import annotations

import json
import re
import shutil
import socket
from contextlib import nullcontext

from syncengine.daemon.metrics import Metrics, Standing
from tests.support.documents import ROOT, Shell, assert_shown, blocks
from tests.support.household import Household, pair

PAGE = ROOT / "docs" / "watch.md"


def test_every_command_of_the_page_does_what_it_shows(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
    shutil.copytree(ROOT / "config" / "csv-and-database", tmp_path / "config" / "csv-and-database")
    shell, output, codes = Shell(tmp_path), "", []
    try:
        for block in blocks(PAGE):
            if block.language == "sh":
                code, output = shell.run(block.text.replace("8095", port))
                codes.append(code)
            elif block.language == "text":
                assert_shown(block.text, output)
            elif block.language == "json":
                assert json.loads(block.text)["type"] == "pair.failed"
    finally:
        shell.run("kill $(cat daemon.pid) 2> /dev/null")
    assert codes == [0, 0, 0, 0]


def test_the_page_names_every_metric_and_no_other(tmp_path):
    named = set(re.findall(r"`(syncengine_\w+)`", PAGE.read_text("utf-8")))
    with Household(tmp_path, pair("people")) as house:
        house.live(1)
        metrics, app = Metrics(), house.open_app()
        config, store = house.service.config, app.store
        standing = Standing(lambda: config, house._registry, house.service, lambda: nullcontext(store), house.clock, metrics)
        found = {family.name for family in standing.collect()}
        app.close()
    counted = {f"{family.name}_total" if family.type == "counter" else family.name for family in metrics.registry.collect()}
    assert named == {name for name in found | counted if name.startswith("syncengine_")}
