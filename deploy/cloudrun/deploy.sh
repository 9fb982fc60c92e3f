#!/bin/sh
# Polyhouse: the plans of `polyhouse schedule show`. Times are UTC.
# Both stores must be servers: the secret `polyhouse` gives POLYHOUSE_WAREHOUSE and POLYHOUSE_STATE.
# Makes or updates the accounts, the jobs and their times. Can be run again at any time.
#
#   PROJECT=my-project REGION=europe-west1 sh deploy.sh [--dry-run]
#
# Before: the secrets polyhouse-warehouse and polyhouse-state (POLYHOUSE_WAREHOUSE and POLYHOUSE_STATE), e.g.
#   printf '%s' 'postgresql://…' | gcloud secrets create polyhouse-state --data-file=-
# With a BigQuery warehouse: DATASET=name of its dataset.
set -eu
cd "$(dirname "$0")"
: "${PROJECT:?the Google Cloud project}" "${REGION:?the region of the jobs}"
dry=
case "${1:-}" in
    --dry-run) dry=1 ;;
    '') ;;
    *) echo "usage: PROJECT=… REGION=… sh deploy.sh [--dry-run]" >&2; exit 2 ;;
esac
runner="polyhouse-runner@$PROJECT.iam.gserviceaccount.com"
starter="polyhouse-starter@$PROJECT.iam.gserviceaccount.com"

run() {
    if [ -n "$dry" ]; then printf 'would run: %s\n' "$*"; else "$@"; fi
}

is_there() {
    [ -z "$dry" ] && "$@" >/dev/null 2>&1
}

account() {  # name, what it is for
    is_there gcloud iam service-accounts describe "$1@$PROJECT.iam.gserviceaccount.com" --project "$PROJECT" ||
        run gcloud iam service-accounts create "$1" --display-name "$2" --project "$PROJECT"
}

deploy_job() {  # name, rule
    job=$1.deployed.yaml
    sed "s/@PROJECT\.iam/@$PROJECT.iam/" "$1.yaml" >"$job"
    trap 'rm -f "$job"' EXIT
    run gcloud run jobs replace "$job" --project "$PROJECT" --region "$REGION"
    rm -f "$job"
    # The starter may start this job, and nothing else in the project.
    run gcloud run jobs add-iam-policy-binding "$1" --member "serviceAccount:$starter" --role roles/run.invoker \
        --project "$PROJECT" --region "$REGION"
    verb=create
    if is_there gcloud scheduler jobs describe "$1" --project "$PROJECT" --location "$REGION"; then verb=update; fi
    run gcloud scheduler jobs "$verb" http "$1" --schedule "$2" --time-zone Etc/UTC --http-method POST \
        --uri "https://run.googleapis.com/v2/projects/$PROJECT/locations/$REGION/jobs/$1:run" \
        --oauth-service-account-email "$starter" --project "$PROJECT" --location "$REGION"
}

run gcloud services enable run.googleapis.com cloudscheduler.googleapis.com secretmanager.googleapis.com \
    --project "$PROJECT"
account polyhouse-runner 'Runs the jobs of Polyhouse'
account polyhouse-starter 'Starts the jobs of Polyhouse'
for secret in polyhouse-warehouse polyhouse-state; do
    run gcloud secrets add-iam-policy-binding "$secret" --member "serviceAccount:$runner" \
        --role roles/secretmanager.secretAccessor --project "$PROJECT"
done
if [ -n "${DATASET:-}" ]; then
    run gcloud projects add-iam-policy-binding "$PROJECT" --member "serviceAccount:$runner" \
        --role roles/bigquery.jobUser --condition None
    run bq query --use_legacy_sql=false --project_id "$PROJECT" \
        "GRANT \`roles/bigquery.dataEditor\` ON SCHEMA \`$DATASET\` TO 'serviceAccount:$runner'"
fi
deploy_job polyhouse-full '0 */6 * * *'
deploy_job polyhouse-top '0 * * * *'
deploy_job polyhouse-incremental '*/30 * * * *'
deploy_job polyhouse-open-markets '10-59/15 * * * *'
deploy_job polyhouse-everything '0 2 * * *'
