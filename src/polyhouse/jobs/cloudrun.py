"""Cloud Run: a job per plan, the script that makes all of it (again), and the script that tries one job.

Two accounts with as little as they need: one runs the jobs and may read the two secrets; one may start the jobs and
nothing else. What is there already is updated, so that the script can be run as often as one likes.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from string import Template

from polyhouse.jobs.plans import Plan

RETRIES = 2
CPU = "2"
_TRIED = "polyhouse-incremental"
_OFTEN_SECONDS = 3_600
_SOME_DAY = 1_780_272_000
"""Midnight UTC: how often a plan comes is counted over a day that begins here."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one execution of a job may take."""

    seconds: int
    memory: str


OFTEN = Limits(1_800, "2Gi")
SELDOM = Limits(86_400, "4Gi")
"""Of plans that come every hour or more often, and of the others, which read far more."""


def limits(plan: Plan) -> Limits:
    """The limits of a plan's job."""
    rule = plan.rule
    if rule is None:
        return SELDOM
    first = rule.next_after(_SOME_DAY)
    return OFTEN if rule.next_after(first) - first <= _OFTEN_SECONDS else SELDOM


def cloud_run(plans: Sequence[Plan], image: str, *, head: str, script: dict[str, str], secret: str) -> dict[str, str]:
    """The files.

    Args:
        plans: the schedule; plans that are off are left out.
        image: container image with polyhouse.
        head: comment at the top of each file.
        script: plan → what its job runs in a shell.
        secret: prefix of the two secrets.
    """
    active = [plan for plan in plans if plan.rule is not None]
    files = {f"{_name(plan)}.yaml": _job(plan, image, head, script[plan.name], secret) for plan in active}
    deploys = [
        f"deploy_job {_name(plan)} {shlex.quote(plan.rule.text)}"  # type: ignore[union-attr]  # they have one
        for plan in active
    ]
    files["deploy.sh"] = _DEPLOY.substitute(head=head, secret=secret, jobs="\n".join(deploys))
    often = sorted(active, key=lambda plan: limits(plan).seconds)  # the job that is over soonest is tried
    names = [_name(plan) for plan in often]
    tried = _TRIED if _TRIED in names or not names else names[0]
    files["test.sh"] = _TEST.substitute(head=head, first=tried)
    return files


def _name(plan: Plan) -> str:
    return f"polyhouse-{plan.name}"


def _job(plan: Plan, image: str, head: str, script: str, secret: str) -> str:
    chosen = limits(plan)
    return f"""\
{head}# {plan.action.summary}
apiVersion: run.googleapis.com/v1
kind: Job
metadata:
  name: {_name(plan)}
spec:
  template:
    spec:
      taskCount: 1
      template:
        spec:
          maxRetries: {RETRIES}
          timeoutSeconds: {chosen.seconds}
          serviceAccountName: polyhouse-runner@PROJECT.iam.gserviceaccount.com
          containers:
            - image: {json.dumps(image)}
              command: ["sh", "-ec"]
              args: [{json.dumps(script)}]
              resources:
                limits:
                  cpu: {json.dumps(CPU)}
                  memory: {chosen.memory}
              env:
                - name: POLYHOUSE_WAREHOUSE
                  valueFrom:
                    secretKeyRef: {{name: {secret}-warehouse, key: latest}}
                - name: POLYHOUSE_STATE
                  valueFrom:
                    secretKeyRef: {{name: {secret}-state, key: latest}}
"""


_DEPLOY = Template(r"""#!/bin/sh
$head# Makes or updates the accounts, the jobs and their times. Can be run again at any time.
#
#   PROJECT=my-project REGION=europe-west1 sh deploy.sh [--dry-run]
#
# Before: the secrets $secret-warehouse and $secret-state (POLYHOUSE_WAREHOUSE and POLYHOUSE_STATE), e.g.
#   printf '%s' 'postgresql://…' | gcloud secrets create $secret-state --data-file=-
# With a BigQuery warehouse: DATASET=name of its dataset.
set -eu
cd "$$(dirname "$$0")"
: "$${PROJECT:?the Google Cloud project}" "$${REGION:?the region of the jobs}"
dry=
case "$${1:-}" in
    --dry-run) dry=1 ;;
    '') ;;
    *) echo "usage: PROJECT=… REGION=… sh deploy.sh [--dry-run]" >&2; exit 2 ;;
esac
runner="polyhouse-runner@$$PROJECT.iam.gserviceaccount.com"
starter="polyhouse-starter@$$PROJECT.iam.gserviceaccount.com"

run() {
    if [ -n "$$dry" ]; then printf 'would run: %s\n' "$$*"; else "$$@"; fi
}

is_there() {
    [ -z "$$dry" ] && "$$@" >/dev/null 2>&1
}

account() {  # name, what it is for
    is_there gcloud iam service-accounts describe "$$1@$$PROJECT.iam.gserviceaccount.com" --project "$$PROJECT" ||
        run gcloud iam service-accounts create "$$1" --display-name "$$2" --project "$$PROJECT"
}

deploy_job() {  # name, rule
    job=$$1.deployed.yaml
    sed "s/@PROJECT\.iam/@$$PROJECT.iam/" "$$1.yaml" >"$$job"
    trap 'rm -f "$$job"' EXIT
    run gcloud run jobs replace "$$job" --project "$$PROJECT" --region "$$REGION"
    rm -f "$$job"
    # The starter may start this job, and nothing else in the project.
    run gcloud run jobs add-iam-policy-binding "$$1" --member "serviceAccount:$$starter" --role roles/run.invoker \
        --project "$$PROJECT" --region "$$REGION"
    verb=create
    if is_there gcloud scheduler jobs describe "$$1" --project "$$PROJECT" --location "$$REGION"; then verb=update; fi
    run gcloud scheduler jobs "$$verb" http "$$1" --schedule "$$2" --time-zone Etc/UTC --http-method POST \
        --uri "https://run.googleapis.com/v2/projects/$$PROJECT/locations/$$REGION/jobs/$$1:run" \
        --oauth-service-account-email "$$starter" --project "$$PROJECT" --location "$$REGION"
}

run gcloud services enable run.googleapis.com cloudscheduler.googleapis.com secretmanager.googleapis.com \
    --project "$$PROJECT"
account polyhouse-runner 'Runs the jobs of Polyhouse'
account polyhouse-starter 'Starts the jobs of Polyhouse'
for secret in $secret-warehouse $secret-state; do
    run gcloud secrets add-iam-policy-binding "$$secret" --member "serviceAccount:$$runner" \
        --role roles/secretmanager.secretAccessor --project "$$PROJECT"
done
if [ -n "$${DATASET:-}" ]; then
    run gcloud projects add-iam-policy-binding "$$PROJECT" --member "serviceAccount:$$runner" \
        --role roles/bigquery.jobUser --condition None
    run bq query --use_legacy_sql=false --project_id "$$PROJECT" \
        "GRANT \`roles/bigquery.dataEditor\` ON SCHEMA \`$$DATASET\` TO 'serviceAccount:$$runner'"
fi
$jobs
""")

_TEST = Template(r"""#!/bin/sh
$head# Runs one job now, waits for it, and shows how it and the ones before it went.
#
#   PROJECT=my-project REGION=europe-west1 sh test.sh [--dry-run] [JOB]
set -eu
: "$${PROJECT:?the Google Cloud project}" "$${REGION:?the region of the jobs}"
dry=
if [ "$${1:-}" = --dry-run ]; then
    dry=1
    shift
fi
job=$${1:-$first}

run() {
    if [ -n "$$dry" ]; then printf 'would run: %s\n' "$$*"; else "$$@"; fi
}

run gcloud scheduler jobs describe "$$job" --project "$$PROJECT" --location "$$REGION" \
    --format 'value(state, schedule, lastAttemptTime)'
failed=0
run gcloud run jobs execute "$$job" --wait --project "$$PROJECT" --region "$$REGION" || failed=$$?
run gcloud run jobs executions list --job "$$job" --limit 5 --project "$$PROJECT" --region "$$REGION"
run gcloud logging read "resource.type=cloud_run_job AND resource.labels.job_name=$$job" --limit 50 --order desc \
    --format 'value(timestamp, textPayload, jsonPayload.message)' --project "$$PROJECT"
exit "$$failed"
""")
