"""The product with the extensions of ``docs/extending.md``: ``python extended_product.py HOME`` prints a report."""

import asyncio
import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

from aiohttp import web

from polyhouse.cli.app import run_command_line
from polyhouse.metrics.ratios import DISPLAY_MIN_UNITS
from polyhouse.settings import Settings
from polyhouse.sim.runner import ServerThread
from polyhouse.sim.server import SimServer
from polyhouse.sim.universe import Universe
from polyhouse.wiring import open_stores

FILLS = "SELECT count() FROM vw_trades_unified WHERE wallet = {w:String} AND source = 'dump'"
BY_HAND = (
    "SELECT wallet, countIf(realized > 0 AND realized >= bought_cost) / countIf(realized > 0) FROM vw_units"
    " WHERE NOT is_open AND bought_cost > 0 GROUP BY wallet HAVING count() >= {least:UInt8}"
    " AND countIf(realized > 0) > 0"
)


def polyhouse(*arguments):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = run_command_line([*arguments, "--json"])
    assert code == 0, (arguments, code)
    return json.loads(out.getvalue())


@contextlib.contextmanager
def mirror(rows):
    """A host that serves rows of a wallet by offset, 40 at a time; yields its address."""

    async def answer(request):
        offset = int(request.query["offset"])
        mine = [row for row in rows if row["proxy_wallet"] == request.query["user"]]
        return web.json_response({"rows": mine[offset : offset + 40], "more": offset + 40 < len(mine)})

    loop, started = asyncio.new_event_loop(), threading.Event()
    address = []

    async def start():
        app = web.Application()
        app.router.add_get("/mirror/trades", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        address.append(f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}")
        started.set()

    def run():
        loop.run_until_complete(start())
        loop.run_forever()

    threading.Thread(target=run, daemon=True).start()
    assert started.wait(30)
    try:
        yield address[0]
    finally:
        loop.call_soon_threadsafe(loop.stop)


def trades_of(url, wallet):
    """Rows of the Data API's own feed."""
    with urllib.request.urlopen(f"{url}/v2/trades?user={wallet}&taker_only=false&limit=1000") as answer:
        document = json.load(answer)
    assert not document["pagination"]["has_more"]
    return document["data"]


def query(home, sql, **params):
    with open_stores(Settings(home=home)) as stores:
        return stores.warehouse.query(sql, params).rows


def page_of(home, path):
    """Status and text of a page of a server."""
    log = home / "serve.log"
    command = [sys.executable, "-m", "polyhouse", "serve", "--port", "0", "--no-schedule"]
    with log.open("w") as talk:
        process = subprocess.Popen(command, stderr=talk, cwd=home)
    try:
        while not (said := re.search(r"^serving (http://\S+)", log.read_text(), re.MULTILINE)):
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        with urllib.request.urlopen(said[1] + path) as answer:
            return answer.status, answer.read().decode()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def main(home):
    os.environ["POLYHOUSE_HOME"] = str(home)
    os.environ["POLYHOUSE_RATE_SCALE"] = "1000"
    server = SimServer(Universe(seed=4, wallets=25, fills=1_200), enforce_limits=False)
    with ServerThread(server):
        for name, url in (("GAMMA", server.gamma_url), ("CLOB", server.clob_url), ("DATA", server.data_url)):
            os.environ[f"POLYHOUSE_{name}_URL"] = url
        polyhouse("run")
        sql = "SELECT wallet, count() AS n FROM vw_trades_canonical GROUP BY wallet HAVING n > 45 ORDER BY n, wallet"
        wallet, fills = query(home, f"{sql} LIMIT 1")[0]
        rows = trades_of(server.data_url, wallet)
        found = {"fills_by_rule": len(rows)}
        assert len(rows) == fills
        with mirror(rows) as address:
            os.environ["POLYHOUSE_DATA_URL"] = address
            polyhouse("sync", "history", "--source", "mirror", wallet, "--no-metrics")
            found["fills"] = query(home, FILLS, w=wallet)[0][0]
            polyhouse("sync", "history", "--source", "mirror", wallet, "--full")
            found["fills_again"] = query(home, FILLS, w=wallet)[0][0]
    measured = "SELECT wallet, doubled_share FROM vw_wallet_metrics_complete WHERE window = 'lifetime'"
    known = query(home, f"{measured} AND doubled_share IS NOT NULL ORDER BY wallet")
    found["metric"] = {name: round(value, 12) for name, value in known}
    found["metric_by_hand"] = {
        name: round(value, 12) for name, value in query(home, f"{BY_HAND} ORDER BY wallet", least=DISPLAY_MIN_UNITS)
    }
    found["definition"] = polyhouse("metric", "doubled_share")["meaning"]
    found["resolutions"] = [name for (name,) in query(
        home, "SELECT condition_id FROM vw_resolutions ORDER BY ts DESC, condition_id LIMIT 20"
    )]  # fmt: skip
    found["page_status"], text = page_of(home, "/resolved")
    found["page_rows"] = re.findall(r'href="/markets/(0x[0-9a-f]+)"', text)
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
