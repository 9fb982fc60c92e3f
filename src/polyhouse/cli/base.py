"""What all commands share: the options that come with each, help that leads with examples, and the run's context."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from polyhouse import telemetry

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from polyhouse.settings import Loaded, Settings

F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class Run:
    """One call of the command line: the flags that stand for settings, and how to print.

    ``loaded`` resolves the settings at first use, so that ``--help`` never pays for it.
    """

    flags: dict[str, Any] = field(default_factory=dict)
    debug: bool = False
    color: bool | None = None
    json: bool = False
    form: str = ""
    _loaded: Loaded | None = None

    @property
    def loaded(self) -> Loaded:
        """The resolved settings with their sources."""
        if self._loaded is None:
            from polyhouse.cli.logs import configure_logging
            from polyhouse.settings import load

            configure_logging(None)
            self._loaded = load(self.flags)
            configure_logging(self._loaded.settings.log_format)
            _trace(self._loaded.settings.traces)
        return self._loaded

    @property
    def settings(self) -> Settings:
        """The resolved settings."""
        return self.loaded.settings


def _trace(endpoint: str) -> None:
    """Trace this command, if somebody wants it; what waits is sent when it ends."""
    context = click.get_current_context(silent=True)
    if endpoint and context is not None:
        telemetry.trace_to(endpoint)
        context.call_on_close(telemetry.stop_tracing)
        context.with_resource(telemetry.span("command"))


class PolyCommand(click.Command):
    """A command whose help shows its examples before its options."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        self.params.extend(common_options())

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the description, then the examples."""
        super().format_help_text(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


class PolyGroup(click.Group):
    """Commands that are imported when they are used; ``table`` maps name → (module, attribute, one line of help)."""

    def __init__(self, *args: Any, table: dict[str, tuple[str, str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.table = table
        self.params.extend(common_options())

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the table."""
        del ctx
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        del ctx
        import importlib

        if cmd_name not in self.table:
            return None
        module, attribute, _ = self.table[cmd_name]
        return cast("click.Command", getattr(importlib.import_module(module), attribute))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a wrong name is answered with the nearest right one."""
        name = args[0] if args else ""
        if args and name not in self.table and not name.startswith("-"):
            from polyhouse.domain.suggestions import nearest

            close = nearest(name, self.table, cutoff=0.5)
            hint = f" Did you mean {close!r}?" if close else ""
            raise click.UsageError(f"no such command {name!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names of commands from the table, without importing them; options as usual."""
        from click.shell_completion import CompletionItem

        found = [CompletionItem(name, help=text) for name, (_, _, text) in self.table.items()]
        named = [item for item in found if item.value.startswith(incomplete)]
        return named if not incomplete.startswith("-") else click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table, without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in self.table.items()])


def common_options() -> list[click.Parameter]:
    """Options that every command takes, before or after its name."""

    def setting(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
        def store(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
            if value is not None:
                ctx.ensure_object(Run).flags[name] = value

        return store

    def attribute(name: str, result: Any) -> Callable[[click.Context, click.Parameter, Any], None]:
        def store(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
            if value:
                setattr(ctx.ensure_object(Run), name, result)

        return store

    def option(flag: str, callback: Callable[..., None], **kwargs: Any) -> click.Option:
        return click.Option([flag], expose_value=False, callback=callback, **kwargs)

    return [
        option("--home", setting("home"), metavar="DIR", help="Folder of the embedded stores."),
        option("--warehouse", setting("warehouse"), metavar="URL", help="Warehouse to use."),
        option("--state", setting("state"), metavar="URL", help="State store to use."),
        option("--no-color", attribute("color", result=False), is_flag=True, help="No colours (also: NO_COLOR)."),
        option("--debug", attribute("debug", result=True), is_flag=True, help="Show tracebacks."),
    ]


def command(name: str, *, examples: Sequence[str], json: bool = True) -> Callable[[Callable[..., Any]], PolyCommand]:
    """Declare a command. Its function gets the ``Run`` first and returns its exit code (None = 0)."""

    def declare(function: Callable[..., Any]) -> PolyCommand:
        @functools.wraps(function)
        def call(**kwargs: Any) -> int:
            run = click.get_current_context().ensure_object(Run)
            run.form = kwargs.pop("as_form", None) or ""
            run.json = bool(kwargs.pop("as_json", False)) or run.form == "json"
            with telemetry.bound(command=name):
                return int(function(run, **kwargs) or 0)

        decorated: Callable[..., Any] = call
        taken = {name for option in getattr(function, "__click_params__", ()) for name in option.opts}
        if json and "--format" not in taken:
            forms = click.Choice(("table", "tsv", "csv", "jsonl", "markdown", "json"))
            decorated = click.option("--format", "as_form", type=forms, help="Form of what is printed.")(decorated)
        if json:
            decorated = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")(decorated)
        return click.command(name, cls=PolyCommand, examples=examples)(decorated)

    return declare


def say(text: str) -> None:
    """Talk: one line on stderr."""
    click.echo(text, err=True)


def next_steps(run: Run, *commands: str) -> None:
    """Suggest what to type next, to people only."""
    if sys.stderr.isatty() and not run.json:
        say("next: " + "   ".join(commands))
