"""The schedule as files for other schedulers: cron, systemd, Kubernetes, Cloud Run.

They call the commands of the plans. An embedded store takes one process at a time, so cron and systemd let a command
wait for the one before it; containers need both stores on servers.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from polyhouse.jobs import cloudrun
from polyhouse.jobs.plans import Plan

_LINE = "\n"
_WAIT_SECONDS = 6 * 3_600
_ENVIRONMENT = "polyhouse"
_USER = 10001  # as whom the image runs
_HEAD = "# Polyhouse: the plans of `polyhouse schedule show`. Times are UTC.\n"
_SERVERS = (
    f"# Both stores must be servers: the secret `{_ENVIRONMENT}` gives POLYHOUSE_WAREHOUSE and POLYHOUSE_STATE.\n"
)
_NOTHING: Mapping[str, str] = MappingProxyType({})


def cron(plans: Sequence[Plan], variables: Mapping[str, str] = _NOTHING) -> dict[str, str]:
    """Lines for ``crontab``.

    Args:
        plans: what runs when.
        variables: of the environment of the commands; cron gives them next to none.
    """
    lines = [_HEAD + "CRON_TZ=UTC", *(f"{name}={value}" for name, value in variables.items())]
    for plan in plans:
        if plan.rule is not None:
            lines += [f"# {plan.name}: {plan.action.summary}", f"{plan.rule.text} {_locked(plan, '$HOME')}"]
    return {"crontab": "\n".join(lines) + "\n"}


def systemd(plans: Sequence[Plan], variables: Mapping[str, str] = _NOTHING) -> dict[str, str]:
    """A service and a timer per plan, for ``~/.config/systemd/user`` or ``/etc/systemd/system``.

    Args:
        plans: what runs when.
        variables: of the environment of the commands.
    """
    files = {}
    given = "".join(f"Environment={_unit_word(name, value)}\n" for name, value in variables.items())
    for plan in plans:
        if plan.rule is None:
            continue
        script = _locked(plan, "%t").replace("$", "$$")
        about = f"Polyhouse {plan.name}: {plan.action.summary}"
        files[f"polyhouse-{plan.name}.service"] = (
            f"{_HEAD}[Unit]\nDescription={about}\nWants=network-online.target\nAfter=network-online.target\n\n"
            f"[Service]\nType=oneshot\n{given}ExecStart=/usr/bin/env {script}\nTimeoutStartSec=infinity\n"
        )
        files[f"polyhouse-{plan.name}.timer"] = (
            f"{_HEAD}[Unit]\nDescription={about}\n\n[Timer]\nOnCalendar={plan.rule.calendar()}\n"
            "RandomizedDelaySec=20\nPersistent=true\n\n[Install]\nWantedBy=timers.target\n"
        )
    return files


def _unit_word(name: str, value: str) -> str:
    """One assignment as a unit file quotes it."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{name}={escaped}"'


def kubernetes(plans: Sequence[Plan], image: str) -> dict[str, str]:
    """A CronJob per plan."""
    documents = [
        f"""\
# {plan.action.summary}
apiVersion: batch/v1
kind: CronJob
metadata:
  name: polyhouse-{plan.name}
spec:
  schedule: {json.dumps(plan.rule.text)}
  timeZone: Etc/UTC
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: 3600
  jobTemplate:
    spec:
      backoffLimit: 2
      template:
        spec:
          restartPolicy: Never
          automountServiceAccountToken: false
          securityContext:
            runAsNonRoot: true
            runAsUser: {_USER}
            runAsGroup: {_USER}
            fsGroup: {_USER}
            seccompProfile: {{type: RuntimeDefault}}
          containers:
            - name: polyhouse
              image: {json.dumps(image)}
              command: ["sh", "-ec"]
              args: [{json.dumps(_script(plan, _LINE))}]
              envFrom:
                - secretRef:
                    name: {_ENVIRONMENT}
              resources:
                requests: {{cpu: "1", memory: 2Gi}}
                limits: {{memory: 4Gi}}
              securityContext:
                allowPrivilegeEscalation: false
                readOnlyRootFilesystem: true
                capabilities: {{drop: [ALL]}}
              volumeMounts:
                - {{name: home, mountPath: /data}}
                - {{name: tmp, mountPath: /tmp}}
          volumes:
            - {{name: home, emptyDir: {{}}}}
            - {{name: tmp, emptyDir: {{}}}}
"""
        for plan in plans
        if plan.rule is not None
    ]
    return {"polyhouse-cronjobs.yaml": _HEAD + _SERVERS + "---\n".join(documents)}


def cloud_run(plans: Sequence[Plan], image: str) -> dict[str, str]:
    """A Cloud Run job per plan, and the scripts that make them with their times, and try one (``jobs.cloudrun``)."""
    scripts = {plan.name: _script(plan, _LINE) for plan in plans}
    return cloudrun.cloud_run(plans, image, head=_HEAD + _SERVERS, script=scripts, secret=_ENVIRONMENT)


def _locked(plan: Plan, folder: str) -> str:
    """The plan's commands behind a lock that the other plans take too."""
    return f"flock -w {_WAIT_SECONDS} {folder}/polyhouse-schedule.lock sh -ec {shlex.quote(_script(plan, '; '))}"


def _script(plan: Plan, between: str) -> str:
    """The commands in order. Exit 1 says that something is named and queued for another try: no reason to end."""
    return between.join(
        f"{command} || {{ code=$?; test $code = 1 || exit $code; }}" for command in plan.action.commands
    )
