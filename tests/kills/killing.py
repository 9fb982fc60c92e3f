"""Kills commands of the product a thousand times, finishes them, and compares what they left with what is right.

``python -m tests.kills.killing --kills 1000 --lanes 2 --to kills.jsonl`` plays rounds: a copy of a home, six to
fourteen kills of one command in a row (at named places and at random moments), the same command to its end, every
table compared with the undisturbed run, whose totals are held against the simulator's truth. Each round is a line of
the file, and a file that is there is gone on with. Fails if a row is lost, duplicated or wrong.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "support")]

import storelook
from killlab import KILLED, Lab, World
from postgres_server import running_server
from stories import KINDS, Library, Story, forget

from polyhouse.sim.runner import ServerThread

TRUTHS = ("bulk", "incremental", "chain")
"""Stories of which every total is known to the simulator."""

KILLS_A_ROUND = 7.5
LEAST_IN_A_ROW, MOST_IN_A_ROW = 6, 14


@dataclass
class Round:
    """What one round did and found."""

    kind: str
    seed: int
    kills: int = 0
    lives: int = 0
    points: dict[str, int] = field(default_factory=dict)
    again: int = 0
    worst_again: int = 0
    differences: dict[str, Any] = field(default_factory=dict)
    claims: int = 0
    failure: str = ""
    numbers: int = 0
    cpu: float = 0.0

    @property
    def is_good(self) -> bool:
        """Nothing lost, duplicated, wrong or claimed too early; no partition read again more than a page a kill."""
        return not self.differences and not self.claims and not self.failure and self.worst_again <= self.kills


def way_to_die(story: Story, chance: random.Random) -> dict[str, Any]:
    """A random moment, or a named place; sometimes a polite stop first."""
    points = [point for point in story.points if story.reached.get(point.rstrip("@"))]
    if not points or chance.random() < 0.4:
        moment = chance.uniform(0.0, 0.9 * story.seconds)
        polite = chance.random() < 0.15
        return {"kill_after": moment + 0.05, "stop_after": moment} if polite else {"kill_after": moment}
    point = chance.choice(points)
    # A later life does less than the first one did, so the first reaches are the likeliest to be met.
    nth = min(1 + int(chance.expovariate(1.0)), story.reached[point.rstrip("@")])
    if point.endswith("@"):
        return {"failpoint": f"{point[:-1]}:{nth}@{chance.uniform(0.0001, 0.01):.4f}"}
    return {"failpoint": f"{point}:{nth}"}


def play(lab: Lab, story: Story, seed: int, most: int) -> Round:
    """One round with at most so many kills."""
    chance = random.Random(f"{story.kind} {seed}")
    round_, points = Round(story.kind, seed), Counter[str]()
    home = lab.copy(story.base, f"round-{story.kind}")
    story.prepare(home)
    words, before, cpu = story.arguments(home), dict(story.world.asked if story.world else {}), lab.cpu
    is_done = False
    for _ in range(chance.randint(min(LEAST_IN_A_ROW, most), most)):
        way = way_to_die(story, chance)
        claims = story.finds_claims and chance.random() < 0.15
        ended = lab.run(home, story.world, *words, claims=claims, env=story.env(home), **way)
        round_.lives += 1
        _look_from_outside(story, home, round_, (story.seen_before, story.seen_after))
        if ended.code == storelook.CLAIMS_TOO_MUCH:
            round_.claims += 1
        elif ended.code == KILLED:
            round_.kills += 1
            points[
                way.get("failpoint", "moment").partition(":")[0] + ("@" if "@" in way.get("failpoint", "") else "")
            ] += 1
        else:
            is_done = is_done or ended.code == 0
            assert ended.code in {0, 1, 130, 143, -signal.SIGTERM}, (
                f"{words} ended with {ended.code}\n{lab.last_words()}"
            )
        if is_done and story.once:
            break
    story.finish(lab, home, is_done=is_done)
    _look_from_outside(story, home, round_, (story.seen_after,))
    judge(lab, story, home, round_)
    if story.world:
        again = [count - before.get(key, 0) - story.asked.get(key, 0) for key, count in story.world.asked.items()]
        # Lives that ended by themselves asked anew, as they should; only what kills cost is judged.
        if round_.lives == round_.kills:
            round_.again, round_.worst_again = sum(max(one, 0) for one in again), max(again, default=0)
    round_.points, round_.cpu = dict(points), round(lab.cpu - cpu, 2)
    if round_.is_good:
        forget(home)
    else:
        home.rename(home.with_name(f"bad-{story.kind}-{seed}"))
    return round_


def _look_from_outside(story: Story, home: Path, round_: Round, right: Sequence[Any]) -> None:
    seen = story.outside(home)
    if seen not in right:
        round_.differences["outside"] = {"wrong": 1, "expected": right, "found": seen}


def judge(lab: Lab, story: Story, home: Path, round_: Round) -> None:
    """Every table against the undisturbed run."""
    found = lab.call("digests", home=str(story.judged(home)))
    tables = [table for table in story.expected.keys() | found if story.expected.get(table) != found.get(table)]
    if tables:
        round_.differences |= lab.differences(story.whole, story.judged(home), tables)
        for table in tables:
            round_.differences.setdefault(table, {"expected": story.expected.get(table), "found": found.get(table)})


def check_truth(lab: Lab, story: Story) -> Round:
    """The undisturbed totals of a story against the simulator, as a round without kills."""
    assert story.world
    is_chain = story.kind == "chain"
    home = lab.copy(story.whole, f"truth-of-{story.kind}")
    if is_chain:
        lab.must(home, story.world, "sync", "markets")
    # Windows of wallets that nothing happened to end at their last build; those of the truth end today.
    lab.must(home, story.world, "metrics", "--full")
    universe = story.world.server.world.universe
    found = lab.call(
        "against_truth", home=str(home), universe=story.world.arguments, now=universe.now, is_chain=is_chain
    )
    is_equal = found["compared"] and found["compared"] == found["equal"] and not found["differences"]
    return Round(
        f"truth of {story.kind}", 0, numbers=found["numbers"], differences={} if is_equal else {"truth": found}
    )


@contextmanager
def library(folder: Path) -> Iterator[tuple[Lab, Library]]:
    """A lab with its worlds."""
    with ExitStack() as stack:
        lab = Lab(folder)
        stack.callback(lab.close)
        threads: dict[int, ServerThread] = {}

        def open_world(**arguments: Any) -> World:
            world = World.of(arguments)
            threads[id(world)] = stack.enter_context(ServerThread(world.server))
            return world

        def advance(world: World, seconds: int) -> None:
            threads[id(world)].advance(seconds)

        yield lab, Library(lab, open_world, advance, lambda: stack.enter_context(running_server()))


def plan(kills: int, seed: int) -> list[tuple[str, int]]:
    """(story, seed of the round), story by story in turn, so many that the kills should suffice."""
    rounds = []
    for kind, share in KINDS.items():
        wanted = max(1, round(kills * share / 100 / KILLS_A_ROUND))
        rounds += [((number + 0.5) / wanted, kind, seed * 100_000 + number) for number in range(wanted)]
    return [(kind, number) for _, kind, number in sorted(rounds)]


def lane(number: int, lanes: int, rounds: list[tuple[str, int]], to: str, most: int) -> None:
    """Play every ``lanes``-th round that the file does not have yet."""
    with tempfile.TemporaryDirectory(prefix="kills-") as folder, library(Path(folder)) as (lab, stories):
        for index, (kind, seed) in enumerate(rounds):
            # By story, so that each lane prepares few of them.
            if index % lanes != number:
                continue
            try:
                is_new = not stories.is_made(kind)
                story = stories.story(kind)
                if is_new and kind in TRUTHS:
                    _keep(to, check_truth(lab, story))
                found = play(lab, story, seed, most)
            except AssertionError as error:
                found = Round(kind, seed, failure=f"{str(error)[:300]} … {str(error)[-1_500:]}")
            _keep(to, found)


def _keep(to: str, found: Round) -> None:
    with Path(to).open("a") as file:
        file.write(json.dumps(asdict(found)) + "\n")


def read(to: Path) -> list[dict[str, Any]]:
    """The rounds of a file."""
    return [json.loads(line) for line in to.read_text().splitlines()] if to.exists() else []


def summary(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """What all rounds did and found."""
    kills, points = Counter[str](), Counter[str]()
    wrong: Counter[str] = Counter()
    for one in rounds:
        kills[one["kind"]] += one["kills"]
        points.update(one["points"])
        for counts in one["differences"].values():
            wrong.update({name: counts.get(name, 0) for name in ("lost", "duplicated", "wrong")})
    return {
        "rounds": len(rounds), "numbers_equal_to_truth": sum(one["numbers"] for one in rounds),
        "kills": sum(kills.values()), "by_story": dict(kills.most_common()),
        "by_point": dict(points.most_common()), "lost": wrong["lost"], "duplicated": wrong["duplicated"],
        "wrong": wrong["wrong"], "bad_rounds": [(r["kind"], r["seed"]) for r in rounds if r["differences"]],
        "failed_rounds": [(r["kind"], r["seed"]) for r in rounds if r["failure"]],
        "claims_without_data": sum(one["claims"] for one in rounds),
        "pages_read_again": sum(one["again"] for one in rounds),
        "worst_wallet_again": max((one["worst_again"] for one in rounds), default=0),
        "more_than_a_page_a_kill": [(r["kind"], r["seed"]) for r in rounds if r["worst_again"] > r["kills"]],
        "cpu_seconds": round(sum(one["cpu"] for one in rounds)),
    }  # fmt: skip


@click.command(help=__doc__)
@click.option("--kills", default=1_000, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--lanes", default=2, show_default=True)
@click.option("--most", default=MOST_IN_A_ROW, show_default=True, help="Kills in a row.")
@click.option("--only", multiple=True, help="Of these stories alone.")
@click.option("--to", type=click.Path(path_type=Path), default=Path("kills.jsonl"), show_default=True)
def main(kills: int, seed: int, lanes: int, most: int, only: tuple[str, ...], to: Path) -> None:
    started = time.monotonic()
    done = {(one["kind"], one["seed"]) for one in read(to)}
    rounds = [one for one in plan(kills, seed) if one not in done and (not only or one[0] in only)]
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=lane, args=(n, lanes, rounds, str(to), most)) for n in range(lanes)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    report = {**summary(read(to)), "seconds": round(time.monotonic() - started)}
    print(json.dumps(report, indent=1))
    failed = any(process.exitcode for process in processes)
    sys.exit(1 if failed or report["bad_rounds"] or report["failed_rounds"] or report["claims_without_data"] else 0)


if __name__ == "__main__":
    main()
