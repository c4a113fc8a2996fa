"""`bsmon report`: a run on one page."""

from __future__ import annotations

from pathlib import Path

import click

from bsmon.cli.run_argument import run_argument, shown
from bsmon.core.errors import BadInput


@click.command()
@run_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("report.html"),
    show_default=True,
    metavar="FILE",
    help="Where to write it.",
)
def report(run: str | None, *, output: Path) -> None:
    """Write RUN as one HTML page: charts, interventions, events, the advice and how it turned out.

    The page needs no network and no other file. RUN is a folder, a name under runs/ or a part of one; the newest run
    unless given.
    """
    from bsmon.report.page import page
    from bsmon.report.story import Story
    from bsmon.session.replay import ReplaySession
    from bsmon.store.journal_reader import JournalReader
    from bsmon.store.runs import find_run

    found = find_run(run)
    story = Story()
    for entry in JournalReader(found.journal_path).read():
        story.take(entry.moment, entry.happening)
    text = page(ReplaySession(found).snapshot(), story)
    try:
        output.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise BadInput(f"cannot write {shown(output)}: {error.strerror or error}") from error
    click.echo(f"wrote {shown(output)}")
