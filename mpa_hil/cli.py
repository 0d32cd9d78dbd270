"""The command line. Commands live in `commands`; what is heavy is imported where it is used."""

from __future__ import annotations

import sys

import click

from radios.errors import LocalError

from . import exits
from .commands.agent import agent
from .commands.compare import compare
from .commands.doctor import doctor
from .commands.lab import lab
from .commands.record import record
from .commands.replay import replay
from .commands.report import report
from .commands.run import run
from .commands.walks import walks
from .commands.watch import watch


def _print_version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        click.echo(f"mpa-hil {version('mpa-hil')}")
    except PackageNotFoundError:
        click.echo("mpa-hil, from a checkout that is not installed")
    context.exit()


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 done, 1 the experiment failed, 2 usage or configuration, "
    "3 the machine lacks something, 128+n ended by signal n after cleaning up.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """Take a Wi-Fi mobile node through a handover, on real 802.11 stacks, and measure it."""


for _command in (run, compare, walks, report, record, replay, watch, lab, doctor, agent):
    cli.add_command(_command)


def body(arguments: list[str]) -> int:
    """Parse and carry out; raises what the command raises."""
    try:
        result = cli.main(arguments, prog_name="mpa-hil", standalone_mode=False)
    except click.Abort as aborted:
        # click's name for Ctrl-C; the exit status depends on which signal it was.
        raise KeyboardInterrupt from aborted
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "mpa-hil"
        raise LocalError(error.format_message(), remedy=f"{path} --help") from error
    return int(result or 0)


def main() -> None:
    """Entry point of ``mpa-hil``."""
    sys.exit(exits.run(lambda: body(sys.argv[1:])))


if __name__ == "__main__":
    main()
