from polyhouse.cli.progress import LineReporter, duration


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_lines_come_every_tenth_and_every_thirty_seconds():
    clock, lines = Clock(), []
    reporter = LineReporter(lines.append, clock)
    reporter.phase("wallets", 1000, "wallets")
    for _ in range(1000):
        clock.now += 0.01
        reporter.advance(1, rows=7)
    reporter.finish()
    assert lines[0] == "wallets: 1,000 wallets"
    assert lines[1] == "wallets: 100/1,000 wallets, 700 rows, 100.0 wallets/s, about 9 s left"
    assert lines[-1] == "wallets: done, 1,000/1,000 wallets, 7,000 rows, 100.0 wallets/s, 10 s"
    assert len(lines) == 11


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
        "markets: 30 pages, 1.0 pages/s, 30 s",
        "markets: 60 pages, 1.0 pages/s, 1 min 0 s",
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
    assert [duration(s) for s in (0, 59.4, 200, 7500)] == ["0 s", "59 s", "3 min 20 s", "2 h 5 min"]
