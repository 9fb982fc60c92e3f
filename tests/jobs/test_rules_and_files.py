"""Rules of plans against their calendar, and the files for other schedulers against what reads them."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime

import pytest
import yaml

from polyhouse.errors import ConfigError
from polyhouse.jobs import exports
from polyhouse.jobs.actions import ACTIONS
from polyhouse.jobs.plans import DEFAULTS, plans
from polyhouse.jobs.rules import parse_rule

SOME_DAY = int(datetime(2026, 2, 27, 23, 58, 30, tzinfo=UTC).timestamp())  # a Friday


def times(text, count=3):
    found, moment = [], SOME_DAY
    for _ in range(count):
        moment = parse_rule(text).next_after(moment)
        found.append(datetime.fromtimestamp(moment, UTC).strftime("%a %m-%d %H:%M:%S"))
    return found


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("0 * * * *", ["Sat 02-28 00:00:00", "Sat 02-28 01:00:00", "Sat 02-28 02:00:00"]),
        ("*/30 * * * *", ["Sat 02-28 00:00:00", "Sat 02-28 00:30:00", "Sat 02-28 01:00:00"]),
        ("10-59/15 * * * *", ["Sat 02-28 00:10:00", "Sat 02-28 00:25:00", "Sat 02-28 00:40:00"]),
        ("0 */6 * * *", ["Sat 02-28 00:00:00", "Sat 02-28 06:00:00", "Sat 02-28 12:00:00"]),
        ("0 2 * * *", ["Sat 02-28 02:00:00", "Sun 03-01 02:00:00", "Mon 03-02 02:00:00"]),
        ("5 4 * * 0", ["Sun 03-01 04:05:00", "Sun 03-08 04:05:00", "Sun 03-15 04:05:00"]),
        ("5 4 * * 7", ["Sun 03-01 04:05:00", "Sun 03-08 04:05:00", "Sun 03-15 04:05:00"]),
        ("0 0 * * mon-fri", ["Mon 03-02 00:00:00", "Tue 03-03 00:00:00", "Wed 03-04 00:00:00"]),
        ("0 0 1,15 * *", ["Sun 03-01 00:00:00", "Sun 03-15 00:00:00", "Wed 04-01 00:00:00"]),
        ("30 12 1 JAN,JUL *", ["Wed 07-01 12:30:00", "Fri 01-01 12:30:00", "Thu 07-01 12:30:00"]),
        ("0 0 29 2 *", ["Tue 02-29 00:00:00", "Sun 02-29 00:00:00", "Fri 02-29 00:00:00"]),
    ],
)
def test_a_rule_means_what_crontab_says(rule, expected):
    assert times(rule) == expected


@pytest.mark.parametrize(
    "rule",
    ["", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "5-2 * * * *",
     "*/0 * * * *", "x * * * *", "1-2-3 * * * *", "* * 31 2 *", "1 1 1 * mon", "@hourly", "-1 * * * *", "1, * * * *",
     "٣ * * * *", "1/5 * * * *"],
)  # fmt: skip
def test_what_is_no_rule_is_refused(rule):
    with pytest.raises(ConfigError):
        parse_rule(rule)


def test_the_newest_time_of_a_span_includes_its_end_and_not_its_beginning():
    rule = parse_rule("0 * * * *")
    hour = rule.next_after(SOME_DAY)
    assert rule.newest(hour - 1, hour) == hour
    assert rule.newest(hour, hour + 3599) is None
    assert rule.newest(hour - 7200, hour + 3599) == hour


def test_the_plans_of_the_seed_systems_are_the_defaults():
    by_name = {plan.name: plan.rule.text for plan in plans({})}
    assert by_name == dict(DEFAULTS)
    assert by_name["top"] == "0 * * * *"
    assert by_name["incremental"] == "*/30 * * * *"
    assert by_name["full"] == "0 */6 * * *"
    assert by_name["everything"] == "0 2 * * *"
    assert "open-markets" in by_name


def test_settings_change_switch_off_and_add_plans():
    by_name = {plan.name: plan.rule for plan in plans({"top": "5 * * * *", "full": "OFF", "metrics": "0 3 * * sun"})}
    assert by_name["top"].minutes == (5,)
    assert by_name["full"] is None
    assert by_name["metrics"].weekdays == (0,)
    for wrong in ({"tpo": "* * * * *"}, {"top": "hourly"}):
        with pytest.raises(ConfigError, match="schedule"):
            plans(wrong)


EVERY_DAY = plans({"metrics": "0 3 * * sun", "discover": "7 1-5/2 1 jan,jul *"})


def test_crontab_lines_are_five_fields_and_a_command():
    (text,) = exports.cron(EVERY_DAY).values()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines[0] == "CRON_TZ=UTC"
    assert len(lines) == 1 + len(EVERY_DAY)
    for line, plan in zip(lines[1:], EVERY_DAY, strict=True):
        fields = line.split(" ", 5)
        assert parse_rule(" ".join(fields[:5])) == plan.rule
        assert "%" not in fields[5], "a percent sign is a line break in crontab"
        checked = subprocess.run(["sh", "-n", "-c", fields[5]], capture_output=True, check=False)
        assert checked.returncode == 0, checked.stderr
        for command in plan.action.commands:
            assert command in fields[5]


def test_a_line_of_crontab_goes_on_after_exit_1_and_ends_after_3(tmp_path):
    fake = tmp_path / "polyhouse"
    fake.write_text('#!/bin/sh\necho "$*" >> "$HOME/calls"\n[ "$1" != "$FAILS" ] || exit "$CODE"\n')
    fake.chmod(0o755)
    line = next(line for line in exports.cron(EVERY_DAY)["crontab"].splitlines() if line.startswith("0 */6"))
    command = line.split(" ", 5)[5]
    for code, expected in ((1, ["discover", "process"]), (3, ["discover"])):
        (tmp_path / "calls").unlink(missing_ok=True)
        environment = {
            "HOME": str(tmp_path),
            "PATH": f"{tmp_path}:/usr/bin:/bin",
            "FAILS": "discover",
            "CODE": str(code),
        }
        done = subprocess.run(["sh", "-c", command], env=environment, check=False)
        assert done.returncode == (0 if code == 1 else 3) or code == 3
        assert (tmp_path / "calls").read_text().split() == expected


def test_variables_stand_before_the_lines_of_crontab_and_in_the_units():
    variables = {"PATH": "/opt/50% of it/bin:/bin", "POLYHOUSE_HOME": '/srv/a "b"'}
    (text,) = exports.cron(EVERY_DAY, variables).values()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines[:3] == ["CRON_TZ=UTC", "PATH=/opt/50% of it/bin:/bin", 'POLYHOUSE_HOME=/srv/a "b"']
    for name, content in exports.systemd(EVERY_DAY, variables).items():
        given = [line for line in content.splitlines() if line.startswith("Environment=")]
        wanted = ['Environment="PATH=/opt/50%% of it/bin:/bin"', r'Environment="POLYHOUSE_HOME=/srv/a \"b\""']
        assert given == (wanted if name.endswith(".service") else [])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_accepts_the_units_and_reads_the_same_times(tmp_path):
    files = exports.systemd(EVERY_DAY)
    assert len(files) == 2 * len(EVERY_DAY)
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *map(str, sorted(tmp_path.glob("*.timer")))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    ours = [line for line in checked.stderr.splitlines() if "polyhouse" in line]
    assert ours == []
    for plan in EVERY_DAY:
        shown = subprocess.run(
            ["systemd-analyze", "calendar", "--base-time", "@" + str(SOME_DAY), plan.rule.calendar()],
            capture_output=True, text=True, check=True, env={"TZ": "UTC", "PATH": "/usr/bin:/bin"},
        ).stdout  # fmt: skip
        expected = datetime.fromtimestamp(plan.rule.next_after(SOME_DAY), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        assert expected in shown, (plan.name, shown)


def test_kubernetes_gets_a_cron_job_per_plan():
    (text,) = exports.kubernetes(EVERY_DAY, "example.org/polyhouse:1").values()
    documents = list(yaml.safe_load_all(text))
    assert [document["metadata"]["name"] for document in documents] == [f"polyhouse-{plan.name}" for plan in EVERY_DAY]
    for document, plan in zip(documents, EVERY_DAY, strict=True):
        spec = document["spec"]
        assert (document["apiVersion"], document["kind"]) == ("batch/v1", "CronJob")
        assert (spec["schedule"], spec["timeZone"], spec["concurrencyPolicy"]) == (plan.rule.text, "Etc/UTC", "Forbid")
        container = spec["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
        assert container["image"] == "example.org/polyhouse:1"
        for command in plan.action.commands:
            assert command in container["args"][0]


def test_cloud_run_gets_a_job_per_plan_and_the_commands_to_schedule_it():
    files = exports.cloud_run(EVERY_DAY, "example.org/polyhouse:1")
    script = files.pop("deploy.sh")
    files.pop("test.sh")
    assert len(files) == len(EVERY_DAY)
    for plan in EVERY_DAY:
        document = yaml.safe_load(files[f"polyhouse-{plan.name}.yaml"])
        assert (document["apiVersion"], document["kind"]) == ("run.googleapis.com/v1", "Job")
        task = document["spec"]["template"]["spec"]["template"]["spec"]
        assert task["containers"][0]["image"] == "example.org/polyhouse:1"
        assert f"deploy_job polyhouse-{plan.name} '{plan.rule.text}'" in script


def test_every_command_of_an_action_exists():
    from click.testing import CliRunner

    from polyhouse.cli.app import app

    for action in ACTIONS.values():
        for command in action.commands:
            asked = [*command.split()[1:], "--help"]
            result = CliRunner().invoke(app, asked, obj=None)
            assert result.exit_code == 0, (command, result.output)
