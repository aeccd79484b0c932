"""The group ``prep``, and how errors reach the user: one line, no traceback without --debug."""

from __future__ import annotations

import importlib
from importlib.metadata import version
from typing import Any, Final

import click

from manifests.errors import ManifestError, UsageError
from manifests.parent import renew_in_silence
from manifests.terminal import escape_unencodable
from pipeline.cli.visible import visible

_COMMANDS: Final = {
    "doctor": "pipeline.cli.doctor:doctor",
    "demo-corpora": "pipeline.cli.demo:demo_corpora",
    "scan": "pipeline.cli.scan:scan_command",
    "plan": "pipeline.cli.plan:plan_command",
    "build-shards": "pipeline.cli.build:build_shards",
    "verify": "pipeline.cli.verify:verify_command",
    "freeze": "pipeline.cli.freeze:freeze_command",
    "thaw": "pipeline.cli.thaw:thaw_command",
    "subset": "pipeline.cli.subset:subset_command",
    "diff": "pipeline.cli.diff:diff_command",
    "explain": "pipeline.cli.explain:explain_command",
    "report": "pipeline.cli.report:report_command",
}


class PrepGroup(click.Group):
    """Loads a command's module when it is asked for, and turns our errors into exit statuses."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of work."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the group's options; before any text is shown, help included."""
        escape_unencodable()
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; errors of ours become one line and an exit status."""
        try:
            return super().invoke(ctx)
        except ManifestError as error:
            if ctx.params.get("debug"):
                raise
            click.echo(f"prep: {visible(str(error))}", err=True)
            ctx.exit(2 if isinstance(error, UsageError) else 1)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except BrokenPipeError:  # the reader went, as in `prep plan | head`; click ends quietly
            raise
        except KeyboardInterrupt:
            click.echo("prep: interrupted; run the same command again to go on", err=True)
            ctx.exit(130)
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            said = visible(f"{type(error).__name__}: {error}")
            click.echo(f"prep: unexpected {said}; 'prep --debug' shows where", err=True)
            ctx.exit(1)


@click.group(cls=PrepGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(version("robust-tagger"), prog_name="prep")
def prep(debug: bool) -> None:
    """Music corpora and noise, as downloaded -> paired clean/noisy shards at exact SNRs.

    A first look: 'prep doctor', then 'prep demo-corpora demo'.
    """
    renew_in_silence()
