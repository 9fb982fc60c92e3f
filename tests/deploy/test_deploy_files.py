"""The files of deploy/ and .github/: accepted by the tools that know them, and one with what the product does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from polyhouse.cli.app import COMMANDS
from polyhouse.cli.schedule import IMAGE
from polyhouse.jobs import exports
from polyhouse.jobs.plans import plans
from polyhouse.serve import gauges
from polyhouse.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def check(*command, stdin=None):
    """Run a tool of the environment; it must have nothing to say against the files."""
    program = Path(sys.executable).with_name(command[0])
    words = [str(program if program.exists() else command[0]), *map(str, command[1:])]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT, input=stdin)
    assert done.returncode == 0, done.stdout + done.stderr


def documents(path):
    return [document for document in yaml.safe_load_all((DEPLOY / path).read_text()) if document]


def kubernetes(kind, name):
    found = documents("kubernetes/polyhouse.yaml")
    return next(one for one in found if (one["kind"], one["metadata"]["name"]) == (kind, name))


@pytest.mark.parametrize(
    ("folder", "files"),
    [
        ("kubernetes", exports.kubernetes(plans({}), IMAGE)),
        ("cloudrun", exports.cloud_run(plans({}), IMAGE)),
        ("systemd/timers", exports.systemd(plans({}))),
    ],
)
def test_the_schedule_in_files_is_what_the_product_prints(folder, files):
    """After a change: `polyhouse schedule k8s|cloudrun|systemd`, into these folders."""
    for name, content in files.items():
        assert (DEPLOY / folder / name).read_text() == content, name
    if folder != "kubernetes":
        assert {path.name for path in (DEPLOY / folder).iterdir()} == set(files)


def test_their_own_tools_accept_them():
    check("hadolint", DEPLOY / "docker/Dockerfile")
    check("shellcheck", *sorted(DEPLOY.rglob("*.sh")))
    check("check-jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "docker/compose.yaml")
    check("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)
    check("check-jsonschema", "--builtin-schema", "vendor.dependabot", ROOT / ".github/dependabot.yml")
    check("kubernetes-validate", "--strict", "--quiet", *sorted((DEPLOY / "kubernetes").glob("*.yaml")))


def test_systemd_accepts_the_units(tmp_path):
    for unit in (DEPLOY / "systemd").glob("*.service"):
        (tmp_path / unit.name.replace("@", "@1")).write_text(unit.read_text())
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *map(str, tmp_path.iterdir())],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert [line for line in done.stderr.splitlines() if "polyhouse" in line] == []


def test_scripts_of_workflows_are_good_shell():
    for path in WORKFLOWS:
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            for step in job["steps"]:
                if "run" in step:
                    # Expressions are filled in before the shell sees the text; user input comes by variables alone.
                    assert not re.search(r"\$\{\{\s*github\.(event|head_ref|ref_name)", step["run"])
                    script = re.sub(r"\$\{\{[^}]*\}\}", "value", step["run"])
                    check("shellcheck", "--shell=bash", "-", stdin="#!/bin/bash\nset -e\n" + script)


def test_workflows_may_do_what_they_need_and_no_more():
    wanted = {}
    for path in WORKFLOWS:
        document = yaml.safe_load(path.read_text())
        assert document["permissions"] == {"contents": "read"}
        for name, job in document["jobs"].items():
            assert job["timeout-minutes"] <= 90
            rights = job.get("permissions", {})
            wanted.update({name: {right for right, kind in rights.items() if kind == "write"}} if rights else {})
    assert wanted == {"build": {"id-token", "attestations"}, "index": {"id-token"}, "release": {"contents"}}
    release = (ROOT / ".github/workflows/release.yml").read_text()
    for promise in ("python -m build", "cyclonedx-py", "attest-build-provenance", "attest-sbom"):
        assert promise in release


def test_containers_are_not_root_and_cannot_write_but_where_they_must():
    dockerfile = (DEPLOY / "docker/Dockerfile").read_text()
    user = re.search(r"^USER (\d+):\d+$", dockerfile, re.MULTILINE)[1]
    assert dockerfile.count("\nFROM ") == 2, "what builds it does not ship"
    assert "HEALTHCHECK" in dockerfile
    assert "--require-hashes" in dockerfile
    pods = [
        one["spec"]["template"]["spec"] for one in documents("kubernetes/polyhouse.yaml") if one["kind"] == "Deployment"
    ]
    jobs = documents("kubernetes/polyhouse-cronjobs.yaml")
    pods += [one["spec"]["jobTemplate"]["spec"]["template"]["spec"] for one in jobs]
    assert len(pods) == 2 + len(plans({}))
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert str(pod["securityContext"]["runAsUser"]) == user
        (container,) = pod["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/data", "/tmp"}


def test_every_command_and_setting_that_is_named_exists():
    settings = {PREFIX + name.upper() for name in Settings.model_fields}
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            text = path.read_text()
            named = set(re.findall(r"\bPOLYHOUSE_[A-Z_]+\b", text)) - {"POLYHOUSE_IMAGE"}
            assert named <= settings, (path, named - settings)
            assert set(re.findall(r"\bpolyhouse ([a-z]+) ", text)) <= {*COMMANDS, "polyhouse"}, path


def test_the_server_and_its_stores_start_together_and_know_no_default_password():
    compose = documents("docker/compose.yaml")[0]
    services = compose["services"]
    assert set(services) == {"clickhouse", "postgres", "server", "worker"}
    for name in ("server", "worker"):
        waits = {other: rule["condition"] for other, rule in services[name]["depends_on"].items()}
        assert waits == dict.fromkeys(("clickhouse", "postgres"), "service_healthy")
    text = (DEPLOY / "docker/compose.yaml").read_text()
    for secret in ("CLICKHOUSE_PASSWORD", "POSTGRES_PASSWORD", "POLYHOUSE_ADMIN_API_KEY"):
        assert set(re.findall(rf"\$\{{{secret}([^}}]*)\}}", text)) == {":?put it into .env"}
        assert f"\n{secret}=\n" in (DEPLOY / "docker/example.env").read_text()
    workers = services["worker"]["deploy"]["replicas"]
    assert (workers + 1) * float(services["server"]["environment"]["POLYHOUSE_RATE_SCALE"]) <= 0.8


def test_workers_follow_the_depth_of_the_queue_within_one_rate_budget():
    scaler = kubernetes("HorizontalPodAutoscaler", "polyhouse-worker")["spec"]
    assert scaler["scaleTargetRef"]["name"] == "polyhouse-worker"
    metric = scaler["metrics"][0]["external"]["metric"]["name"]
    (rule,) = documents("kubernetes/values/prometheus-adapter.yaml")[0]["rules"]["external"]
    assert rule["name"]["as"] == metric
    told = gauges._metric("polyhouse_wallets", "gauge", "", [({"status": "pending"}, 1)])[-1]
    assert rule["seriesQuery"] == told.removesuffix(" 1")
    assert f'"{rule["seriesQuery"].partition("{")[0]}"' in Path(gauges.__file__).read_text()
    worker = kubernetes("Deployment", "polyhouse-worker")["spec"]["template"]["spec"]["containers"][0]
    (scale,) = [float(one["value"]) for one in worker["env"] if one["name"] == "POLYHOUSE_RATE_SCALE"]
    assert scaler["maxReplicas"] * scale <= 0.8
