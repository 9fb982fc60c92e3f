"""Nothing that looks like a key is committed; workflows have no more rights than they need."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
KEYS = re.compile(
    rb"-----BEGIN (?:RSA |EC |OPENSSH |PGP )?PRIVATE KEY"
    rb"|\bAKIA[0-9A-Z]{16}\b"
    rb"|\bgh[pousr]_[A-Za-z0-9]{36}\b"
    rb"|\bgithub_pat_[A-Za-z0-9_]{60}"
    rb"|\bxox[baprs]-[0-9A-Za-z-]{20,}"
    rb"|\bsk_live_[0-9A-Za-z]{20,}"
    rb"|\bph_[A-Za-z0-9_-]{43}\b"
    rb"|\beyJ[A-Za-z0-9_-]{20,}\.eyJ[A-Za-z0-9_-]{20,}"
    rb"|\bpypi-[A-Za-z0-9_-]{50,}"
)
PLACES = ("src", "tests", "docs", "scripts", "benchmarks", "deploy", ".github")
MADE_UP = {b"ph_" + b"0" * 43, b"ph_" + b"x" * 43}


def files():
    for place in PLACES:
        for path in (ROOT / place).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and path.stat().st_size < 1 << 20:
                yield path
    yield from (path for path in ROOT.iterdir() if path.suffix in {".md", ".toml", ".lock"})


def keys_in(content):
    return [found for found in KEYS.findall(content) if found not in MADE_UP]


def test_no_key_is_committed():
    looked_at = 0
    for path in files():
        assert keys_in(path.read_bytes()) == [], path
        looked_at += 1
    assert looked_at > 500
    assert keys_in(b"key = 'gh" + b"p_" + b"a" * 36 + b"'")


def test_workflows_have_few_rights_and_keep_no_credentials():
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert workflows
    for path in workflows:
        text = path.read_text(encoding="utf-8")
        document = yaml.safe_load(text)
        assert document["permissions"] == {"contents": "read"}, path
        assert "pull_request_target" not in text
        for job in document["jobs"].values():
            assert "timeout-minutes" in job
            for step in job["steps"]:
                if step.get("uses", "").startswith("actions/checkout@"):
                    assert step["with"]["persist-credentials"] is False
                # What others may name (titles, branches) never stands in a script.
                assert "github.event." not in step.get("run", "")
                assert "github.head_ref" not in step.get("run", "")
