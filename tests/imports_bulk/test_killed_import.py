"""A killed import whose rows were written, and the same file again: no row is new, and nothing is lost."""

from polyhouse.sync.reorg import wallets_to_rebuild

from .conftest import csv_text, order_row

WALLETS = [number.to_bytes(20, "big") for number in range(1, 6)]


class Killed(BaseException):
    """As abrupt as a signal: nothing handles it."""


def test_wallets_of_a_killed_import_are_registered_and_built(load, stores, tmp_path, monkeypatch):
    path = tmp_path / "orders.csv"
    path.write_text(csv_text([order_row(number) for number in range(1, 6)]))

    def killed(addresses, provenance):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(stores.state, "register_wallets", killed)
        try:
            load(path)
        except Killed:
            pass
        else:
            raise AssertionError("it was not killed")
    assert stores.state.known_wallets(WALLETS) == set()
    (report,) = load(path)
    assert (report.rows_new, report.rows_repeated) == (0, 5)
    assert stores.state.known_wallets(WALLETS) == set(WALLETS)
    assert wallets_to_rebuild(stores.state) == WALLETS
    assert [run.status for run in stores.state.runs(command="import")] == ["ok", "interrupted"]


def test_an_import_has_no_position_that_a_check_could_miss(load, stores, tmp_path):
    path = tmp_path / "more.csv"
    path.write_text(csv_text([order_row(7)]))
    load(path)
    assert dict(stores.state.checkpoint("import", "more.csv").position) == {}
