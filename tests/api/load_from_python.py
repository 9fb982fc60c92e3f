"""Loads a small simulated Polymarket with ``Polyhouse.run``: ``load_from_python.py FOLDER``."""

import asyncio
import json
import sys
from pathlib import Path

import polyhouse
from polyhouse.cli.simulation import simulated_polymarket

RATE_SCALE = 50.0


async def inside_a_loop(house):
    """As in a notebook, whose loop runs already."""
    return house.run()


def main(folder):
    with simulated_polymarket(3, 16, RATE_SCALE) as upstreams:
        urls = {name: getattr(upstreams, name) for name in ("gamma_url", "clob_url", "data_url")}
        with polyhouse.open(folder, rate_scale=RATE_SCALE, **urls) as house:
            report = asyncio.run(inside_a_loop(house))
    (Path(folder) / "report.json").write_text(json.dumps({"status": report.status, "counts": dict(report.counts)}))


if __name__ == "__main__":
    main(sys.argv[1])
