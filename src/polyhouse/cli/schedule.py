"""The schedule command: what runs when, and the same as files for other schedulers."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from polyhouse.cli.base import PolyGroup, Run, command, say
from polyhouse.cli.output import Column, emit_json, emit_table
from polyhouse.errors import ConfigError
from polyhouse.settings import FILE_NAME, MASK

_M = "polyhouse.cli.schedule"
IMAGE = "polyhouse:latest"
_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"

schedule = PolyGroup(
    "schedule",
    table={
        "show": (_M, "show", "The plans, when each runs next, and how its last job ended."),
        "cron": (_M, "cron", "Lines for crontab."),
        "systemd": (_M, "systemd", "A service and a timer per plan."),
        "k8s": (_M, "k8s", "A CronJob per plan."),
        "cloudrun": (_M, "cloudrun", "A Cloud Run job per plan, and the commands that schedule them."),
    },
    help="What runs when. `polyhouse serve` follows it by itself; the other commands print it for other schedulers.",
    no_args_is_help=True,
)

_TO = click.option(
    "--to", "folder", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Write files there."
)
_IMAGE = click.option("--image", default=IMAGE, show_default=True, help="Container image with polyhouse.")


@command(
    "show",
    examples=(
        "polyhouse schedule show",
        "polyhouse schedule show --json",
        """POLYHOUSE_SCHEDULE='{"top": "off"}' polyhouse schedule show""",
    ),
)
def show(run: Run) -> None:
    """The plans, when each runs next, and how its last job ended. Change them in polyhouse.toml:

    \b
    [schedule]
    top = "15 * * * *"
    everything = "off"
    """
    import time

    from polyhouse.jobs.plans import schedule_document
    from polyhouse.wiring import open_state_only

    with open_state_only(run.settings) as state:
        document = schedule_document(run.settings.schedule, state, int(time.time()))
    if run.json:
        emit_json(document)
        return
    rows = [
        [row["plan"], row["rule"] or "off", row["next_at"] or "", _ended(row["last_job"]), row["summary"]]
        for row in document["rows"]
    ]
    titles = ("plan", "rule (UTC)", "next", "last", "does")
    emit_table(run, [Column(title) for title in titles], rows)


def _ended(job: dict[str, str] | None) -> str:
    return f"{job['status']} {job['finished_at'] or ''}".strip() if job else ""


@command(
    "cron",
    examples=("polyhouse schedule cron", "polyhouse schedule cron >> table.txt"),
    json=False,
)
def cron(run: Run) -> None:
    """Lines for crontab, with where the commands and the store are: cron knows neither. Append them to what
    `crontab -l` prints, since `crontab FILE` replaces the whole table.
    """
    from polyhouse.jobs import exports
    from polyhouse.jobs.plans import plans

    _print(exports.cron(plans(run.settings.schedule), _surroundings(run)), None)


@command("systemd", examples=("polyhouse schedule systemd --to ~/.config/systemd/user",), json=False)
@_TO
def systemd(run: Run, folder: Path | None) -> None:
    """A service and a timer per plan; `systemctl --user enable --now polyhouse-*.timer` starts them."""
    from polyhouse.jobs import exports
    from polyhouse.jobs.plans import plans

    _print(exports.systemd(plans(run.settings.schedule), _surroundings(run)), folder)


@command(
    "k8s",
    examples=("polyhouse schedule k8s --image registry.example/polyhouse:1 | kubectl apply -f -",),
    json=False,
)
@_IMAGE
def k8s(run: Run, image: str) -> None:
    """A CronJob per plan. Both stores must be servers."""
    from polyhouse.jobs import exports
    from polyhouse.jobs.plans import plans

    _print(exports.kubernetes(plans(run.settings.schedule), image), None)


@command("cloudrun", examples=("polyhouse schedule cloudrun --to deploy", "sh deploy/deploy.sh"), json=False)
@_TO
@_IMAGE
def cloudrun(run: Run, folder: Path | None, image: str) -> None:
    """A Cloud Run job per plan, and the commands that schedule them. Both stores must be servers."""
    from polyhouse.jobs import exports
    from polyhouse.jobs.plans import plans

    _print(exports.cloud_run(plans(run.settings.schedule), image), folder)


def _surroundings(run: Run) -> dict[str, str]:
    """The environment in which another scheduler's commands find this program, this store and these settings.

    What ``polyhouse.toml`` of the home folder says is found there; what a flag, the environment or the working
    directory says would be lost. Secrets are not written: they are named, for the file.
    """
    loaded = run.loaded
    home = loaded.settings.home.absolute()
    found = {"PATH": f"{Path(sys.executable).parent}:{_SYSTEM_PATH}", "POLYHOUSE_HOME": str(home)}
    kept = {"default", str(home / FILE_NAME)}
    secret = []
    for name, value, source in loaded.explain():
        if source in kept or name in {"POLYHOUSE_HOME", "POLYHOUSE_SCHEDULE"}:
            continue
        if MASK in value:
            secret.append(name)
        else:
            found[name] = value
    if secret:
        say(
            f"secret, so not written: {', '.join(secret)}. Put them into {home / FILE_NAME}, for you alone (chmod 600)."
        )
    return found


def _print(files: dict[str, str], folder: Path | None) -> None:
    """One file to stdout as it is, several with their names; or all of them into a folder."""
    if folder is None:
        for name, content in files.items():
            click.echo((f"# ==> {name}\n" if len(files) > 1 else "") + content, nl=False)
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_text(content, encoding="utf-8")
            say(f"wrote {folder / name}")
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror}") from error
