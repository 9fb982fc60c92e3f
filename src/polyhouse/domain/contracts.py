"""Polymarket's contracts on Polygon (chain 137), as 20 raw bytes. Sources: accounting §1.2 and §5.2, upstream §6.

``INFRA`` holds every address that is machinery rather than a person: no row of any output table may carry one of them
as its wallet.
"""

from __future__ import annotations


def _address(text: str) -> bytes:
    return bytes.fromhex(text[2:])


ZERO = bytes(20)
CTF = _address("0x4D97DCd97eC945f40cF65F87097ACe5EA0476045")
"""ConditionalTokens: the ERC-1155 ledger of V1 and CLOB V2."""

USDC_E = _address("0x2791Bca1f2de4661ED88A30C99A7a9449Aa84174")
"""Collateral of ordinary markets, before and after the cut-over to CLOB V2 (pUSD only wraps around it)."""
WCOL = _address("0x3A3BD7bb9528E159577F7C2e685CC81A765002E2")
"""Wrapped collateral: the collateral of neg-risk markets."""
PUSD = _address("0xC011a7E12a19f7B1f670d46F03B03f3342E82DFB")

EX1 = _address("0x4bFb41d5B3570DeFd03C39a9A4D8dE6Bd8B8982E")
NEX1 = _address("0xC5d563A36AE78145C45a50134d48A1215220f80a")
EX2 = _address("0xE111180000d2663C0091e4f400237545B87B996B")
NEX2 = _address("0xe2222d279d744050d28e00520010520000310F59")
EX2_THIRD = _address("0xe2222d002000ba0053cef3375333610f64600036")
"""A third CLOB V2 instance that one indexer lists; its role is unknown, it is certainly no person."""
EX3 = _address("0xe3333700cA9d93003F00f0F71f8515005F6c00Aa")

FEE_MODULE = _address("0xE3f18aCc55091e2c48d883fc8C8413319d4Ab7b0")
NEG_RISK_FEE_MODULE = _address("0xB768891e3130F6dF18214Ac804d4DB76c2C37730")
FEE_MODULE_OLD = _address("0x78769D50Be1763ed1CA0D5E878D93f05aabff29e")
FEE_MODULES = frozenset({FEE_MODULE, NEG_RISK_FEE_MODULE, FEE_MODULE_OLD})

NEG_RISK_ADAPTER = _address("0xd91E80cF2E7be2e162c6513ceD06f1dD0dA35296")
NEG_RISK_OPERATOR = _address("0x71523d0f655B41E805Cec45b17163f528B59B820")
NEG_RISK_UMA_ADAPTER = _address("0x2F5e3684cb1F318ec51b00Edba38d79Ac2c0aA9d")
NEG_RISK_BURN = _address("0xa5ef39c3d3e10d0b270233af41cac69796b12966")
"""Where burned NO tokens go; it shows up in lists of holders."""

FPMM_FACTORY = _address("0x8B9805A2f595B6705e74F7310829f2d299D21522")

ADP = _address("0xAdA100Db00Ca00073811820692005400218FcE1f")
ADP_OLD = _address("0xADa100874d00e3331D00F2007a9c336a65009718")
NADP = _address("0xadA2005600Dec949baf300f4C6120000bDB6eAab")
NADP_OLD = _address("0xAdA200001000ef00D07553cEE7006808F895c6F1")
ADAPTERS = frozenset({ADP, ADP_OLD, NADP, NADP_OLD})
"""Collateral adapters of CLOB V2, both generations: they stand in for wallets in splits, merges and redemptions."""
AUTO_REDEEMER = _address("0xa1200000d0002264C9a1698e001292D00E1b00af")

PUSD_ONRAMP = _address("0x93070a847efEf7F70739046A929D47a521F5B8ee")
PUSD_OFFRAMP = _address("0x2957922Eb93258b93368531d39fAcCA3B4dC5854")
REWARDS = _address("0xdd8db71ce3be8d71ff148b2163d64da181a29e8b")

ROUTER = _address("0x12121212006e4CD160D18e3f00711DA5c3372600")
POSITION_MANAGER = _address("0x006F54F7f9A22e0000CC2AB60031000000ae9fEF")
BINARY_MODULE = _address("0x1000008dD9001B968442c1000017eaE6E0dA00Ba")
NEG_RISK_MODULE = _address("0x200000900045e3B6259600682756002200028933")
COMBINATORIAL_MODULE = _address("0x30000034706c7d8e12009dab006be20000c031a8")

PROXY_FACTORY = _address("0xaB45c5A4B0c941a2F231C04C3f49182e1A254052")
SAFE_FACTORY = _address("0xaacFeEa03eb1561C4e67d661e40682Bd20E3541b")
DEPOSIT_FACTORY = _address("0x00000000000Fb5C9ADea0298D729A0CB3823Cc07")
UMA_SPORTS_ORACLE = _address("0xb21182d0494521Cf45DbbeEbb5A3ACAAb6d22093")

EXCHANGES = frozenset({EX1, NEX1, EX2, NEX2, EX2_THIRD, EX3})
"""Contracts whose ``OrderFilled`` logs are trades; as the ``taker`` of a row they mark the taker order's own row."""

SYMBOLS: dict[str, bytes] = {
    "EX1": EX1, "NEX1": NEX1, "EX2": EX2, "NEX2": NEX2, "EX3": EX3, "NRA": NEG_RISK_ADAPTER,
    "ADP": ADP, "NADP": NADP, "AR": AUTO_REDEEMER, "ZERO": ZERO,
}  # fmt: skip
"""Short names of contracts, as saved log files and the ``exchange`` column use them."""
SYMBOL_OF: dict[bytes, str] = {address: symbol for symbol, address in SYMBOLS.items()} | {
    ADP_OLD: "ADP",
    NADP_OLD: "NADP",
}

INFRA: frozenset[bytes] = (
    EXCHANGES
    | FEE_MODULES
    | ADAPTERS
    | {
        ZERO, CTF, USDC_E, WCOL, PUSD, NEG_RISK_ADAPTER, NEG_RISK_OPERATOR, NEG_RISK_UMA_ADAPTER, NEG_RISK_BURN,
        FPMM_FACTORY, AUTO_REDEEMER, PUSD_ONRAMP, PUSD_OFFRAMP, REWARDS, ROUTER, POSITION_MANAGER, BINARY_MODULE,
        NEG_RISK_MODULE, COMBINATORIAL_MODULE, PROXY_FACTORY, SAFE_FACTORY, DEPOSIT_FACTORY, UMA_SPORTS_ORACLE,
    }
)  # fmt: skip
"""Every address above. Pools of the AMM era are added by their creation logs."""

FIRST_BLOCK: dict[bytes, int] = {
    CTF: 4_023_686, FPMM_FACTORY: 4_023_693, EX1: 33_605_403, NEX1: 50_505_492, NEG_RISK_ADAPTER: 50_505_403,
    FEE_MODULE: 75_253_526, NEG_RISK_FEE_MODULE: 75_253_721, EX2: 84_902_320, NEX2: 84_902_320,
}  # fmt: skip
"""The first block in which a contract can have logs, where it is known."""

CLOB_V2_CUTOVER_TS = 1_777_374_000
"""2026-04-28 11:00 UTC: fees become collateral on both sides. Before it, a BUY paid its fee in shares."""

REDEEM_PER_OUTCOME_TS = 1_786_320_000
"""2026-08-10 00:00 UTC: from here the activity feed has one REDEEM row per outcome, losers included."""
