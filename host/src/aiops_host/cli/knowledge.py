"""``aiops knowledge``: a tenant's articles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from aiops_host.cli.program import as_json, run

knowledge = click.Group("knowledge", help="Import a tenant's articles.", no_args_is_help=True)


@knowledge.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--tenant", "slug", required=True, metavar="SLUG", help="Whose articles they are")
@as_json
def import_(path: Path, slug: str, as_json: bool) -> None:
    """Import articles: Markdown files, CSV or JSON.

    PATH is a Markdown file or a folder of them, a CSV or a JSON file. Known articles are brought up to date; a Markdown file
    without text is left out.

    Columns: slug, title and body are needed; url, updated and tags separated by commas may be there. A Markdown file
    may begin with title, url, updated and tags as "key: value" lines between two lines of ---.
    """
    from aiops_host.cli.files import read_articles  # noqa: PLC0415 - the database is not needed for --help
    from aiops_host.cli.imports import import_all, remark  # noqa: PLC0415
    from aiops_host.data.retrieval import knowledge as articles  # noqa: PLC0415

    import_all(slug, read_articles(path, remark), articles.upsert, noun="articles", as_json=as_json)


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    return run(knowledge, argv, "knowledge")
