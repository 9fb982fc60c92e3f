"""The commands about schedule and keys."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from commands import in_process as polyhouse


def test_the_schedule_is_shown_with_next_times_and_follows_the_settings(tmp_path):
    (tmp_path / "polyhouse.toml").write_text('[schedule]\ntop = "15 * * * *"\nfull = "off"\n')
    shown = polyhouse(tmp_path, "schedule", "show", "--json")
    rows = {row["plan"]: row for row in json.loads(shown.stdout)["rows"]}
    assert rows["top"]["rule"] == "15 * * * *"
    assert rows["top"]["next_at"].endswith(":15:00Z")
    assert rows["full"]["rule"] is rows["full"]["next_at"] is None
    over = polyhouse(tmp_path, "schedule", "show", POLYHOUSE_SCHEDULE='{"top": "20 * * * *"}')
    assert "20 * * * *" in over.stdout
    configured = polyhouse(tmp_path, "config", "--json")
    assert '"top"' in next(
        row["value"] for row in json.loads(configured.stdout)["settings"] if row["name"] == "POLYHOUSE_SCHEDULE"
    )


def test_a_schedule_that_cannot_be_is_refused_everywhere(tmp_path):
    for wrong in ('{"top": "hourly"}', '{"never": "* * * * *"}', "top", '["top"]'):
        for command in (["schedule", "show"], ["serve", "--port", "0"]):
            result = polyhouse(tmp_path, *command, POLYHOUSE_SCHEDULE=wrong)
            assert result.returncode == 2, (wrong, command, result.stderr)
            assert "SCHEDULE" in result.stderr.upper()


def test_files_for_other_schedulers_are_printed_or_written(tmp_path):
    assert polyhouse(tmp_path, "schedule", "cron").stdout.count("polyhouse sync wallets --top 100") == 1
    folder = tmp_path / "units"
    assert polyhouse(tmp_path, "schedule", "systemd", "--to", str(folder)).returncode == 0
    assert {path.name for path in folder.iterdir()} >= {"polyhouse-top.timer", "polyhouse-top.service"}
    assert polyhouse(tmp_path, "schedule", "k8s", "--image", "x/y:1").stdout.count('image: "x/y:1"') == 5
    assert "# ==> deploy.sh" in polyhouse(tmp_path, "schedule", "cloudrun").stdout


def test_cron_finds_the_program_the_store_and_the_settings(tmp_path):
    """Cron's environment has neither our PATH nor our home: the first line would fail, or fill another store."""
    (tmp_path / "polyhouse.toml").write_text("rate_scale = 0.5\n")
    shown = polyhouse(
        tmp_path, "schedule", "cron",
        POLYHOUSE_DATA_URL="http://127.0.0.1:1", POLYHOUSE_STATE="postgresql://me:word@db/x",
    )  # fmt: skip
    lines = dict(line.split("=", 1) for line in shown.stdout.splitlines() if re.match("[A-Z_]+=", line))
    home = next(
        row["value"] for row in json.loads(polyhouse(tmp_path, "config", "--json").stdout)["settings"]
        if row["name"] == "POLYHOUSE_HOME"
    )  # fmt: skip
    assert lines["PATH"].split(":")[0] == str(Path(sys.executable).parent)
    assert lines["POLYHOUSE_HOME"] == home
    assert lines["POLYHOUSE_DATA_URL"] == "http://127.0.0.1:1"
    assert lines.get("POLYHOUSE_RATE_SCALE", "0.5") == "0.5"
    assert "word" not in shown.stdout + shown.stderr
    assert "POLYHOUSE_STATE" not in lines
    assert "POLYHOUSE_STATE" in shown.stderr


def test_the_secret_of_a_key_is_shown_once(tmp_path):
    made = polyhouse(tmp_path, "keys", "create", "ann", "--scope", "read", "--days", "3")
    secret = made.stdout.strip()
    assert secret.startswith("ph_")
    assert secret not in made.stderr
    listed = polyhouse(tmp_path, "keys", "list")
    assert "ann" in listed.stdout
    assert secret not in listed.stdout + listed.stderr
    assert polyhouse(tmp_path, "keys", "create", "ann").returncode == 2
    assert polyhouse(tmp_path, "keys", "create", "bob", "--scope", "everything").returncode == 2
