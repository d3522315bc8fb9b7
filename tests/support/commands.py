"""Commands as another package would bring them."""

import typer

from syncengine.cli.context import Invocation

tools = typer.Typer(add_completion=False)


@tools.callback()
def _group():
    """Tools."""


@tools.command()
def one():
    typer.echo("one")


def hello(context: typer.Context, loud: bool = False):
    text = f"hello {Invocation.of(context).config}"
    typer.echo(text.replace("hello", "HELLO") if loud else text)
    return 7
