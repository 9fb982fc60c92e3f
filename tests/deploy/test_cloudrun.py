"""The scripts for Cloud Run, run against a ``gcloud`` that notes what it is asked."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

SCRIPTS = Path(__file__).parents[2] / "deploy/cloudrun"
_GCLOUD = """#!/bin/sh
echo "$(basename "$0") $*" >>"$CALLS"
case "$*" in
    *describe*) [ -e "$CALLS.known" ] ;;
    *"jobs replace"*) grep -q "polyhouse-runner@my-project.iam.gserviceaccount.com" "$4" ;;
    *"jobs execute polyhouse-full"*) exit 7 ;;
esac
"""


@pytest.fixture
def cloud(tmp_path):
    """Runs a script; gives its answer and what it asked for."""
    for name in ("gcloud", "bq"):
        (tmp_path / name).write_text(_GCLOUD)
        (tmp_path / name).chmod(0o755)
    calls = tmp_path / "calls"

    def run(script, *arguments, known=False, **variables):
        calls.write_text("")
        (tmp_path / "calls.known").touch() if known else (tmp_path / "calls.known").unlink(missing_ok=True)
        environment = {
            "PATH": f"{tmp_path}:{os.environ['PATH']}", "CALLS": str(calls),
            "PROJECT": "my-project", "REGION": "europe",
        }  # fmt: skip
        done = subprocess.run(
            ["sh", SCRIPTS / script, *arguments],
            env=environment | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        return done, calls.read_text().splitlines()

    return run


def test_the_half_hourly_job_takes_what_it_may():
    job = yaml.safe_load((SCRIPTS / "polyhouse-incremental.yaml").read_text())
    task = job["spec"]["template"]["spec"]["template"]["spec"]
    assert (task["timeoutSeconds"], task["maxRetries"]) == (30 * 60, 2)
    assert task["containers"][0]["resources"]["limits"] == {"cpu": "2", "memory": "2Gi"}


def test_a_dry_run_changes_nothing_and_says_everything(cloud):
    done, calls = cloud("deploy.sh", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert calls == []
    dry = [line.removeprefix("would run: ") for line in done.stdout.splitlines()]
    _, wet = cloud("deploy.sh")
    # What is only looked at is not named; a dry run looks at nothing, so it tells of a first time.
    assert [line for line in wet if "describe" not in line] == dry


def test_a_second_time_updates_what_the_first_one_made(cloud):
    done, first = cloud("deploy.sh")
    assert done.returncode == 0, done.stderr
    assert sum("service-accounts create" in line for line in first) == 2
    schedules = [line for line in first if "scheduler jobs create http" in line]
    assert len(schedules) == 5
    assert "--schedule */30 * * * *" in next(line for line in schedules if "polyhouse-incremental" in line)
    _, second = cloud("deploy.sh", known=True)
    assert not [line for line in second if " create " in line]
    assert len([line for line in second if "scheduler jobs update http" in line]) == 5
    assert not list(SCRIPTS.glob("*.deployed.yaml"))


def test_accounts_get_the_rights_they_need_and_no_others(cloud):
    _, calls = cloud("deploy.sh", DATASET="scores")
    granted = {
        (line.split("--member serviceAccount:")[1].split("@")[0], line.split("--role ")[1].split()[0], line.split()[1])
        for line in calls if "--role" in line
    }  # fmt: skip
    assert granted == {
        ("polyhouse-runner", "roles/secretmanager.secretAccessor", "secrets"),
        ("polyhouse-starter", "roles/run.invoker", "run"),
        ("polyhouse-runner", "roles/bigquery.jobUser", "projects"),
    }
    (grant,) = [line for line in calls if line.startswith("bq ")]
    assert "GRANT `roles/bigquery.dataEditor` ON SCHEMA `scores`" in grant


def test_a_trial_runs_the_job_and_ends_like_it(cloud):
    done, calls = cloud("test.sh", known=True)
    assert done.returncode == 0
    assert any("jobs execute polyhouse-incremental --wait" in line for line in calls)
    done, calls = cloud("test.sh", "polyhouse-full", known=True)
    assert done.returncode == 7
    assert "logging read" in calls[-1], "the logs are shown all the same"
    done, calls = cloud("test.sh", "--dry-run")
    assert (done.returncode, calls) == (0, [])


def test_what_is_missing_is_named(cloud):
    done, calls = cloud("deploy.sh", PROJECT="")
    assert done.returncode != 0
    assert "the Google Cloud project" in done.stderr
    assert calls == []
    done, _ = cloud("deploy.sh", "--wet")
    assert done.returncode == 2
