"""`bsmon init`: a config to start from."""

from __future__ import annotations

from pathlib import Path

import click

from bsmon.core.errors import BadInput


@click.command()
@click.argument("file", type=click.Path(path_type=Path), default=Path("bsmon.toml"))
@click.option("--force", is_flag=True, help="Overwrite FILE if it is there.")
def init(file: Path, *, force: bool) -> None:
    """Write a commented config that trains as it stands.

    FILE is bsmon.toml unless given; "-" prints it.
    """
    from bsmon.config.explain import starter

    if str(file) == "-":
        click.echo(starter(), nl=False)
        return
    try:
        with file.open("w" if force else "x", encoding="utf-8") as out:
            out.write(starter())
    except FileExistsError:
        raise BadInput(f"{file} is there already; give another name, or --force to overwrite it") from None
    except OSError as error:
        raise BadInput(f"cannot write {file}: {error.strerror}") from None
    click.echo(f"wrote {file}; train with: bsmon train {file}")
