"""The command line: argv -> config -> wire -> run. The only layer that knows all parts.

Its modules import heavy parts inside functions, so that `bsmon --help` answers at once and never imports torch.
"""

from __future__ import annotations

import os
import sys

import click

from bsmon import __version__
from bsmon.cli.attach import attach
from bsmon.cli.check import check
from bsmon.cli.doctor import doctor
from bsmon.cli.ending import EXIT_BAD_INPUT, EXIT_INTERRUPTED, clean_lines
from bsmon.cli.export import export
from bsmon.cli.init import init
from bsmon.cli.log import log
from bsmon.cli.lr_find import lr_find
from bsmon.cli.report import report
from bsmon.cli.rm import rm
from bsmon.cli.runs import runs
from bsmon.cli.show import show
from bsmon.cli.stop import stop
from bsmon.cli.sweep import sweep
from bsmon.cli.train import train
from bsmon.core.errors import BadInput


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="bsmon")
def bsmon() -> None:
    """Train with a live terminal screen, and change the batch size while it trains.

    \b
    A first run:
      bsmon init            write bsmon.toml, a commented config that trains as it stands
      bsmon train bsmon.toml

    Exit status: 0 finished, 1 failed, 2 bad input, 130 interrupted before the end.
    """


for _command in (init, train, attach, check, lr_find, sweep, doctor, runs, show, report, export, log, stop, rm):
    bsmon.add_command(_command)


def main() -> None:
    """Run the program and exit with its status."""
    try:
        status = bsmon.main(standalone_mode=False)
    except BadInput as error:
        # The message may quote names and paths: no escape code of theirs may reach the terminal.
        click.echo(clean_lines(f"bsmon: {error}"), err=True, nl=False)
        status = EXIT_BAD_INPUT
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        status = EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has gone (`bsmon doctor | head`): nothing more to say, and nothing to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    sys.exit(status)
