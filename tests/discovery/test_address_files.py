"""Files with wallets: plain lists, tables, bad lines, and sizes that must not be held in memory."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from polyhouse.domain.contracts import EX1, INFRA
from polyhouse.domain.ids import format_address, wallet_safe
from polyhouse.errors import BadInputError
from polyhouse.sources.files.addresses import read_addresses

A, B, C, D = (bytes([n]) * 20 for n in (0xA1, 0xB2, 0xC3, 0xD4))


def text(raw: bytes) -> str:
    return format_address(raw)


def read(path, content: str):
    path.write_text(content, encoding="utf-8")
    groups = list(read_addresses(path))
    assert len(groups) <= 1
    return groups[0] if groups else None


@pytest.fixture
def path(tmp_path):
    return tmp_path / "wallets.txt"


def test_one_address_per_line_with_comments(path):
    found = read(path, f"# mine\n{text(A)}\n\n  {text(B).upper().replace('0X', '0x')}  # the second\n")
    assert (found.either, found.owners, found.bad) == ([A, B], [], [])


def test_the_first_cell_counts_without_a_header(path):
    assert read(path, f"{text(A)},whale\n{text(B)},other\n").either == [A, B]


@pytest.mark.parametrize("name", ["wallet", "Address", "proxyWallet", "USER", "trader"])
@pytest.mark.parametrize("comma", [",", ";", "\t"])
def test_a_table_names_its_column(path, name, comma):
    content = f"rank{comma}{name}{comma}pnl\r\n1{comma}{text(A)}{comma}5\r\n2{comma}{text(B)}{comma}\r\n"
    assert read(path, content).either == [A, B]


def test_signers_and_wallets_of_one_line_are_a_pair(path):
    found = read(path, f"\ufeffeoa,wallet\n{text(C)},{text(A)}\n{text(D)},\n,{text(B)}\n")
    assert (found.either, found.owners, found.pairs) == ([A, B], [C, D], [(C, A)])


def test_bad_lines_are_named_and_the_rest_is_read(path):
    found = read(path, f"wallet,note\n{text(A)},x\n0x12,y\nonly-one-cell\n{text(B)},z\n")
    assert found.either == [A, B]
    assert [number for number, _ in found.bad] == [3, 4]
    assert "2 hex digits" in found.bad[0][1]
    found = read(path, f"wallets\n{text(A)}\n")
    assert (found.either, found.bad[0][0]) == ([A], 1)


def test_what_is_no_list_is_refused(path, tmp_path):
    with pytest.raises(BadInputError, match="names no column"):
        read(path, "id,name\n1,x\n")
    with pytest.raises(BadInputError, match="cannot be read"):
        list(read_addresses(tmp_path / "missing"))
    path.write_bytes(b"\xff\xfe\x00binary")
    with pytest.raises(BadInputError, match="cannot be read"):
        list(read_addresses(path))
    path.write_text("0x" + "a" * (1 << 21))
    with pytest.raises(BadInputError, match="line of more than a million"):
        list(read_addresses(path))
    assert read(path, "\n# nothing\n") is None


def test_a_large_file_is_read_in_groups(path):
    rng = random.Random(5)
    lines = 60_000
    with path.open("w") as file:
        file.writelines(text(rng.randbytes(20)) + "\n" for _ in range(lines))
    tracemalloc.start()
    sizes = []
    for group in read_addresses(path, group=5_000):
        sizes.append(len(group.either))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sizes == [5_000] * 12
    assert peak < 4_000_000


async def test_a_file_is_registered_with_its_bad_lines_reported(lab, path):
    signer, known = bytes([7]) * 20, wallet_safe(bytes([7]) * 20)
    content = "".join(f"{text(one)}\n" for one in (A, B, A, EX1, signer)) + "nonsense\n"
    path.write_text(content)
    async with lab.session() as session:
        session.state.register_wallets([B, known], "user")
        _, plan = await session.discover(file=path, dry_run=True)
        report, found = await session.discover(file=path)
        assert plan.sources == found.sources == {"file": {"seen": 2, "new": 1, "known": 1, "rejected": 2}}
        assert (report.status, report.exit_code) == ("partial", 1)
        assert report.errors[0].startswith(f"{path}, line 6: ")
        assert set(session.registry()) == {text(A), text(B), text(known)}
        assert session.registry()[text(B)] == ("user", "file")
        rows = session.warehouse.query("SELECT owner, wallet, kind FROM wallet_links_view ORDER BY kind").rows
        assert rows == [(text(signer), text(signer), "eoa"), (text(signer), text(known), "safe")]
        assert not {bytes.fromhex(one[2:]) for one in session.registry()} & INFRA
        _, again = await session.discover(file=path)
        assert again.sources["file"]["new"] == 0
        assert again.links == 0
        assert not lab.requests
