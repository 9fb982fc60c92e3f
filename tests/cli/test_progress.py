from polyhouse.cli.progress import BarReporter, LineReporter, bar_lines, duration
from polyhouse.sources.http.metrics import RouteStats
from polyhouse.sync.progress import PhaseFigures, Traffic
from polyhouse.sync.traffic import TrafficMeter


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_lines_come_every_tenth_and_every_thirty_seconds():
    clock, lines = Clock(), []
    reporter = LineReporter(lines.append, clock, lambda: 43_200 + clock.now)
    reporter.phase("markets", 1000, "markets")
    for _ in range(1000):
        clock.now += 0.01
        reporter.advance(1, rows=7)
    reporter.finish()
    assert lines[0] == "markets: 1,000 markets"
    assert lines[1] == (
        "markets: 100/1000 (10%) markets, 700 rows, 100.0 markets/s, 1 s so far, about 9 s left, until 12:00 UTC"
    )
    assert lines[-1] == "markets: done, 1000/1000 (100%) markets, 7,000 rows, 100.0 markets/s, 10 s"
    assert len(lines) == 11


def test_wallets_say_what_was_completed_and_what_failed_and_requests_against_the_limit():
    clock, lines = Clock(), []
    reporter = LineReporter(lines.append, clock, lambda: 86_000 + clock.now)
    reporter.watch(lambda: Traffic(5_000, "data.activity", 31.44, 32.0))
    reporter.phase("wallets", 6605, "wallets")
    clock.now = 152.3
    reporter.advance(1523, rows=120_000, trades=110_342, failed=33, empty=0)
    assert lines[1] == (
        "wallets: 1523/6605 (23%) wallets, 1,490 completed, 33 failed, 120,000 rows, 110,342 trades, "
        "31.4 of 32.0 requests/s, 10.0 wallets/s, 2 min 32 s so far, about 8 min 28 s left, until 1970-01-02 00:04 UTC"
    )


def test_the_pace_is_that_of_the_last_minutes():
    clock, lines = Clock(), []
    reporter = LineReporter(lines.append, clock, clock)
    reporter.phase("wallets", 100_000, "wallets")
    for _ in range(3_000):  # ten a second at first, one a second later
        clock.now += 0.1
        reporter.advance()
    for _ in range(900):
        clock.now += 1
        reporter.advance()
    assert "1.0 wallets/s" in lines[-1]


def test_an_unknown_total_has_no_share_and_no_time_left():
    clock, lines = Clock(), []
    reporter = LineReporter(lines.append, clock)
    reporter.phase("markets", None, "pages")
    for _ in range(70):
        clock.now += 1
        reporter.advance()
    reporter.note("waiting 12 s (429)")
    reporter.finish()
    reporter.finish()
    assert lines == [
        "markets (number of pages not known yet)",
        "markets: 30 pages, 1.0 pages/s, 30 s so far",
        "markets: 60 pages, 1.0 pages/s, 1 min 0 s so far",
        "waiting 12 s (429)",
        "markets: done, 70 pages, 1.0 pages/s, 1 min 10 s",
    ]


def test_a_new_phase_ends_the_old_one():
    lines = []
    reporter = LineReporter(lines.append, Clock())
    reporter.phase("a", 1, "x")
    reporter.phase("b", 0, "y")
    assert lines[1].startswith("a: done")


def test_durations_are_for_people():
    shown = [duration(s) for s in (0, 59.4, 200, 7500, 300_000)]
    assert shown == ["0 s", "59 s", "3 min 20 s", "2 h 5 min", "3 d 11 h"]


def test_the_rate_is_that_of_the_busiest_route_over_one_window():
    clock = Clock()
    routes = [RouteStats("data.activity", limit=320), RouteStats("gamma.events", limit=400)]
    meter = TrafficMeter(lambda: routes, clock)
    assert meter().per_second == 0
    for _ in range(40):  # 30 requests a second for 20 s
        clock.now += 0.5
        routes[0].requests += 15
        routes[1].requests += 1
        seen = meter()
    assert (seen.requests, seen.route, seen.limit_per_second) == (640, "data.activity", 32.0)
    assert 29.9 <= seen.per_second <= 30.1
    clock.now += 30
    assert meter().per_second < 10


def test_the_bar_leaves_one_line_behind(capsys):
    reporter = BarReporter(color=False)
    reporter.watch(lambda: Traffic(5, "data.activity", 31.44, 32.0))
    reporter.phase("wallets", 10, "wallets")
    reporter.advance(2, rows=30, trades=20, failed=0)
    reporter.note("one failed")
    reporter.advance(1, failed=1)
    reporter.finish()
    reporter.finish()
    lines = [line.strip() for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert "one failed" in lines
    assert lines[-1].startswith("wallets: 3/10 (30%) wallets, 2 completed, 1 failed, 30 rows, 20 trades")


def test_the_bar_fits_on_80_columns():
    figures = PhaseFigures("wallets", "wallets", 2_900_000, 0.0)
    figures.advance(40_000.0, 1_523_000, {"rows": 120_000_000, "trades": 110_342_111, "failed": 33, "empty": 12_000})
    lines = bar_lines(figures, 40_000.0, 43_200.0, Traffic(5_000, "data.activity", 31.44, 32.0))
    assert lines == [
        "1523000/2900000 (52%) · about 10 h 2 min left, until 22:02 UTC",
        "1,522,967 completed · 33 failed · 110,342,111 trades · 12,000 empty",
        "31.4 of 32.0 requests/s · 11 h 6 min so far",
    ]
