"""The group ``train``, and how errors reach the user: one line, no traceback without --debug."""

from __future__ import annotations

import importlib
import logging
from importlib.metadata import version
from typing import Any, Final

import click

from manifests.errors import ManifestError, UsageError
from manifests.parent import renew_in_silence
from manifests.terminal import escape_unencodable

_COMMANDS: Final = {
    "dat": "trainer.cli.methods:dat",
    "baseline": "trainer.cli.methods:baseline",
    "supervised": "trainer.cli.methods:supervised",
    "full-clean": "trainer.cli.methods:full_clean",
    "labelled-noise": "trainer.cli.methods:labelled_noise",
    "adabn": "trainer.cli.methods:adabn",
    "consistency": "trainer.cli.methods:consistency",
    "robust": "trainer.cli.methods:robust",
    "noisy-student": "trainer.cli.methods:noisy_student",
    "evaluate": "trainer.cli.evaluate:evaluate",
    "compare": "trainer.cli.compare:compare",
    "tag": "trainer.cli.use:tag",
    "embed": "trainer.cli.use:embed",
    "export": "trainer.cli.export:export",
    "grid": "trainer.cli.grid:grid",
}


class TrainGroup(click.Group):
    """Loads a command's module when it is asked for, and turns our errors into exit statuses."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands: methods first, then what is done with runs."""
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
            click.echo(f"train: {error}", err=True)
            ctx.exit(2 if isinstance(error, UsageError) else 1)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except BrokenPipeError:  # the reader went, as in `train tag | head`; click ends quietly
            raise
        except KeyboardInterrupt:
            click.echo("train: interrupted; run the same command again to go on", err=True)
            ctx.exit(130)
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            kind = type(error).__name__
            click.echo(
                f"train: unexpected {kind}: {error}; 'train --debug …' shows where", err=True
            )
            ctx.exit(1)


@click.group(cls=TrainGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option("--verbose", is_flag=True, help="Show what the stages log.")
@click.version_option(version("robust-tagger"), prog_name="train")
def train(debug: bool, verbose: bool) -> None:
    """Train taggers that survive noise on the shards of 'prep build-shards'.

    A first look: 'train dat --preset demo --shards DIR --out RUN'.
    """
    renew_in_silence()
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s %(message)s")
