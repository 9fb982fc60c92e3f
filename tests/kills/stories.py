"""What is killed: each story is a home as it was before, a command, and the home as it is after nobody disturbed it."""

from __future__ import annotations

import csv
import hashlib
import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import killlab
from killlab import Ended, Lab, World
from postgres_server import PostgresServer

from polyhouse.sim.faults import Fault

EXCHANGE = "0x4bfb41d5b3570defd03c39a9a4d8de6bd8b8982e"
DAY = 86_400
PUBLISHED = ("wallets", "wallet_sync_metadata", "wallet_scores", "wallet_scores_by_category")


@dataclass
class Story:
    """One command and how it is judged.

    Attributes:
        kind: the word of the report.
        base: the home before; it may be missing.
        world: the upstreams.
        command: what is killed, and what finishes.
        points: named kill points that it passes, most of them several times.
        after: commands that follow when it has finished, undisturbed.
        judged: what is compared at the end instead of the home; of a home.
        prepare: makes the home of a round ready, for what a copy of ``base`` is not enough.
        once: the command refuses to be run again when it is done.
        finds_claims: checkpoints are held to the manifest at the start of every life.
        env: settings of a home beside those of its world.
        outside: what others see of the work, at any moment: of a home. It is as before or as after, and never half.
    """

    kind: str
    base: Path
    world: World | None
    command: tuple[str, ...]
    points: tuple[str, ...]
    after: tuple[tuple[str, ...], ...] = ()
    judged: Callable[[Path], Path] = lambda home: home
    prepare: Callable[[Path], None] = lambda home: None
    once: bool = False
    finds_claims: bool = True
    env: Callable[[Path], dict[str, str]] = lambda home: {}
    outside: Callable[[Path], Any] = lambda home: None
    seen_before: Any = None
    seen_after: Any = None
    expected: dict[str, Any] = field(default_factory=dict)
    whole: Path = Path()
    seconds: float = 1.0
    reached: dict[str, int] = field(default_factory=dict)
    asked: dict[Any, int] = field(default_factory=dict)

    def arguments(self, home: Path) -> list[str]:
        """The command's words in this home."""
        return [word.replace("HOME", str(home)) for word in self.command]

    def finish(self, lab: Lab, home: Path, *, is_done: bool = False, **more: Any) -> Ended | None:
        """The command once more, undisturbed, unless it cannot be run again; and what follows it."""
        more["env"] = self.env(home)
        ended = None if self.once and is_done else lab.must(home, self.world, *self.arguments(home), **more)
        for command in self.after:
            lab.must(home, self.world, *(word.replace("HOME", str(home)) for word in command))
        return ended

    def undisturbed(self, lab: Lab) -> None:
        """Find out what is right, and how long it takes."""
        if self.expected:
            return
        home = lab.copy(self.base, f"whole-{self.kind}")
        self.prepare(home)
        self.seen_before = self.outside(home)
        before = dict(self.world.asked) if self.world else {}
        counts = lab.folder / "reached.json"
        ended = self.finish(lab, home, count=str(counts))
        assert ended is not None
        self.seen_after = self.outside(home)
        assert self.seen_after is None or self.seen_after != self.seen_before, "half could not be told from whole"
        self.reached = json.loads(counts.read_text())
        if self.world:
            self.asked = {key: count - before.get(key, 0) for key, count in self.world.asked.items()}
        self.seconds = ended.seconds
        self.whole = self.judged(home)
        self.expected = lab.call("digests", home=str(self.whole))


SYNC_POINTS = ("K2", "K3", "K4", "K5", "K6", "K7", "K7@", "K8", "K9", "K10", "K11", "K12", "K15")


class Library:
    """All stories over one lab; each is made when it is first asked for.

    Args:
        lab: where.
        open_world: starts a simulated Polymarket and keeps it until the end.
        open_postgres: starts a PostgreSQL and keeps it until the end.
    """

    def __init__(
        self,
        lab: Lab,
        open_world: Callable[..., World],
        advance: Callable[[World, int], None],
        open_postgres: Callable[[], PostgresServer],
    ) -> None:
        self.lab = lab
        self._open_postgres = open_postgres
        self._open = open_world
        self._advance = advance
        self._made: dict[str, Story] = {}
        self._worlds: dict[str, World] = {}
        self._homes: dict[str, Path] = {}

    def story(self, kind: str) -> Story:
        """One of ``KINDS``."""
        if kind not in self._made:
            story: Story = getattr(self, f"_{kind}")()
            story.undisturbed(self.lab)
            self._made[kind] = story
        return self._made[kind]

    def is_made(self, kind: str) -> bool:
        """Whether somebody asked for it."""
        return kind in self._made

    def _world(self, name: str) -> World:
        if name not in self._worlds:
            arguments = {
                "small": {"seed": 3, "wallets": 6, "fills": 80},
                "deep": {"seed": 5, "wallets": 6, "fills": 2_400},
                "chain": {"seed": 3, "wallets": 6, "fills": 120, "with_transfers": True},
            }[name.removesuffix("-later")]
            self._worlds[name] = world = self._open(**arguments)
            # Answers take a while, so that a random moment finds questions under way.
            world.server.faults.set([Fault("data/v2/activity", "slow", seconds=0.03)])
        return self._worlds[name]

    def _loaded(self) -> Path:
        """A home in which ``run`` has finished, and whose world has gone on for forty days."""
        if "loaded" not in self._homes:
            world, home = self._world("small-later"), self.lab.folder / "loaded"
            home.mkdir()
            self.lab.must(home, world, "run")
            self._advance(world, 40 * DAY)
            self._homes["loaded"] = home
        return self._homes["loaded"]

    def _migrated(self) -> Path:
        if "migrated" not in self._homes:
            home = self.lab.folder / "migrated"
            home.mkdir()
            self.lab.must(home, None, "migrate")
            self._homes["migrated"] = home
        return self._homes["migrated"]

    def _bulk(self) -> Story:
        return Story(
            "bulk", self.lab.folder / "nothing", self._world("small"), ("run",),
            (*SYNC_POINTS, "K1", "K14", "K16", "M1", "K17", "K18"),
        )  # fmt: skip

    def _ledgers(self) -> Story:
        world = self._world("deep")
        names = self._file_of_wallets(world)
        command = ("sync", "wallets", "--file", str(names), "--no-metrics")
        return Story("ledgers", self._migrated(), world, command, (*SYNC_POINTS, "K1", "K14"))

    def _workers(self) -> Story:
        story = self._ledgers()
        story.kind, story.command = "workers", (*story.command, "--workers", "2")
        story.points = tuple(set(story.points) - {"K3", "K4"})
        return story

    def _incremental(self) -> Story:
        base = self._loaded()
        return Story(
            "incremental", base, self._world("small-later"),
            ("sync", "wallets", "--all", "--incremental"), (*SYNC_POINTS, "K1", "K14", "M1", "M1", "K17"),
        )  # fmt: skip

    def _chain(self) -> Story:
        command = ("sync", "chain", "--no-metrics")
        points = ("K2", "K3", "K4", "K5", "K6", "K7@", "K8", "K9", "K10", "K11", "K12", "K15")
        return Story("chain", self._migrated(), self._world("chain"), command, points)

    def _import(self) -> Story:
        file = self.lab.folder / "orders.csv"
        _write_orders(file, 4_000)
        return Story("import", self._migrated(), None, ("import", str(file), "--no-metrics"), ("K7", "K7@", "K11"))

    def _export(self) -> Story:
        # In parts of a few rows, over a file of an earlier export.
        base = self.lab.copy(self._loaded(), "with-export")
        (base / "trades.csv").write_text("an earlier export")
        command = ("export", "trades", "--to", "HOME/trades.csv", "--rows-per-part", "20")
        return Story(
            "export", base, None, command, ("X1", "X2"), finds_claims=False,
            outside=lambda home: hashlib.sha256((home / "trades.csv").read_bytes()).hexdigest(),
        )  # fmt: skip

    def _publish(self) -> Story:
        server, world = self._open_postgres(), self._world("small-later")

        def database(home: Path) -> str:
            return home.name.replace("-", "_")

        def fresh(home: Path) -> None:
            server.execute(f"DROP DATABASE IF EXISTS {database(home)} WITH (FORCE)")
            server.execute(f"CREATE DATABASE {database(home)} TEMPLATE publishing")

        def published(home: Path) -> list[Any]:
            row = "hashtextextended((to_jsonb(one) - 'calculated_at')::text, 0)"
            sql = f"SELECT count(*), sum({row})::text FROM polymarket.{{}} AS one"
            return [server.execute(sql.format(table), database(home))[0] for table in PUBLISHED]

        def settings(home: Path) -> dict[str, str]:
            return {"POLYHOUSE_PUBLISH": server.url(database(home))}

        server.execute("CREATE DATABASE publishing")
        home = self.lab.copy(self._loaded(), "publishing")
        self.lab.must(home, None, "publish", env=settings(home))
        self.lab.must(home, world, "sync", "wallets", "--all", "--incremental", env={"POLYHOUSE_PUBLISH": "off"})
        return Story(
            "publish", home, None, ("publish",), ("P1", "P1", "P2"), finds_claims=False, prepare=fresh, env=settings,
            outside=published,
        )  # fmt: skip

    def _metrics_full(self) -> Story:
        return Story("metrics_full", self._loaded(), None, ("metrics", "--full"), ("K7", "K7@", "M1", "K17"))

    def _metrics_partial(self) -> Story:
        base, world = self._loaded(), self._world("small-later")
        home = self.lab.copy(base, "unbuilt")
        self.lab.must(home, world, "sync", "wallets", "--all", "--incremental", "--no-metrics")
        wallets = world.server.world.universe.wallets
        return Story("metrics_partial", home, None, ("metrics", *wallets), ("K7", "K7@", "M1", "K17"))

    def _migrate(self) -> Story:
        old = self.lab.folder / "old"
        old.mkdir()
        parts = self.lab.folder / "old-parts"
        parts.mkdir()
        answer = self.lab.call("old_tables", home=str(self._loaded()), parts=str(parts), last=19)
        self.lab.call("make_old", home=str(old), parts=str(parts), last=19, tables=answer)
        return Story(
            "migrate", old, None, ("migrate",), ("K18",), after=(("metrics", "--full"),), finds_claims=False,
        )  # fmt: skip

    def _backup(self) -> Story:
        # What is judged is the home into which the backup was restored.
        return Story(
            "backup", self._loaded(), None, ("backup", "HOME/copy"), ("B1", "B2"),
            after=(("--home", "HOME/back", "restore", "HOME/copy"),), judged=lambda home: home / "back", once=True,
        )  # fmt: skip

    def _restore(self) -> Story:
        base, world = self._loaded(), self._world("small-later")
        home = self.lab.copy(base, "with-backup")
        self.lab.must(home, None, "backup", str(home / "copy"))
        self.lab.must(home, world, "sync", "wallets", "--all", "--incremental", "--no-metrics")
        return Story(
            "restore", home, None, ("restore", "HOME/copy", "--force"), ("R1", "R2", "R3", "R4"), finds_claims=False
        )

    def _file_of_wallets(self, world: World) -> Path:
        file = self.lab.folder / "wallets.txt"
        file.write_text("\n".join(world.server.world.universe.wallets) + "\n")
        return file


KINDS = {
    "bulk": 10, "ledgers": 26, "workers": 3, "incremental": 10, "chain": 13, "import": 13, "metrics_full": 4,
    "metrics_partial": 4, "migrate": 7, "backup": 3, "restore": 3, "export": 2, "publish": 2,
}  # fmt: skip
"""Story → its share of the kills, in percent."""


def _write_orders(path: Path, rows: int) -> None:
    """Fills as dumps of the first exchange have them: 50 wallets, 20 tokens."""
    chance = random.Random(4)
    tokens = [chance.getrandbits(255) for _ in range(20)]
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(
            ("timestamp", "maker", "makerAssetId", "makerAmountFilled", "taker", "takerAssetId", "takerAmountFilled",
             "transactionHash")
        )  # fmt: skip
        for number in range(rows):
            shares = chance.randrange(1, 500) * 1_000_000
            price = chance.randrange(1, 99)
            out.writerow(
                (1_700_000_000 + number * 60, f"0x{number % 50 + 1:040x}", 0, shares * price // 100, EXCHANGE,
                 chance.choice(tokens), shares, f"0x{number + 1:064x}")
            )  # fmt: skip


def quarantined(home: Path) -> int:
    """Rows in quarantine."""
    with closing(sqlite3.connect(home / "state.db")) as connection:
        return int(connection.execute("SELECT count(*) FROM quarantine").fetchone()[0])


def forget(home: Path) -> None:
    """Remove a round's home."""
    shutil.rmtree(home, ignore_errors=True)


__all__ = ["KINDS", "Library", "Story", "forget", "killlab", "quarantined"]
