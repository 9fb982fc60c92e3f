#!/bin/sh
# Polyhouse: the plans of `polyhouse schedule show`. Times are UTC.
# Both stores must be servers: the secret `polyhouse` gives POLYHOUSE_WAREHOUSE and POLYHOUSE_STATE.
# Runs one job now, waits for it, and shows how it and the ones before it went.
#
#   PROJECT=my-project REGION=europe-west1 sh test.sh [--dry-run] [JOB]
set -eu
: "${PROJECT:?the Google Cloud project}" "${REGION:?the region of the jobs}"
dry=
if [ "${1:-}" = --dry-run ]; then
    dry=1
    shift
fi
job=${1:-polyhouse-incremental}

run() {
    if [ -n "$dry" ]; then printf 'would run: %s\n' "$*"; else "$@"; fi
}

run gcloud scheduler jobs describe "$job" --project "$PROJECT" --location "$REGION" \
    --format 'value(state, schedule, lastAttemptTime)'
failed=0
run gcloud run jobs execute "$job" --wait --project "$PROJECT" --region "$REGION" || failed=$?
run gcloud run jobs executions list --job "$job" --limit 5 --project "$PROJECT" --region "$REGION"
run gcloud logging read "resource.type=cloud_run_job AND resource.labels.job_name=$job" --limit 50 --order desc \
    --format 'value(timestamp, textPayload, jsonPayload.message)' --project "$PROJECT"
exit "$failed"
