"""Progress shows counts on a terminal, hides for other output, leaves nothing behind, and is silent elsewhere."""

import io

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn

from syncengine.cli.output import Output
from syncengine.cli.progress import TerminalWatch, watching


def watch():
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=80)
    columns = (TextColumn("{task.description}", markup=False), MofNCompleteColumn())
    bars = Progress(*columns, console=console, transient=True, auto_refresh=False)
    return TerminalWatch(bars), bars, stream


def test_each_stage_of_each_pair_has_a_bar_with_its_counts():
    watched, bars, _ = watch()
    watched.update("contacts", "read", 100, 400)
    watched.update("contacts", "read", 200, 400)
    watched.update("things", "write", 1, None)
    assert [(task.description, task.completed, task.total) for task in bars.tasks] == [
        ("contacts: read", 200, 400),
        ("things: write", 1, None),
    ]
    watched.hide()


def test_names_can_neither_steer_the_terminal_nor_be_markup():
    watched, bars, stream = watch()
    watched.update("[red]x[/]\x1b[2J", "read", 1, 1)
    bars.refresh()
    watched.hide()
    assert "[red]x[/]\\u001b[2J: read" in stream.getvalue()


def test_hiding_clears_the_bars_and_the_next_update_shows_them_again():
    watched, bars, _ = watch()
    watched.update("contacts", "read", 1, 2)
    watched.hide()
    assert not bars.tasks
    assert not bars.live.is_started
    watched.update("contacts", "read", 2, 2)
    assert bars.live.is_started
    watched.hide()


def test_output_hides_the_progress_first(capsys):
    events = []
    output = Output(before=lambda: events.append("hidden"))
    output.line("a line")
    assert events == ["hidden"]


def test_without_a_terminal_nothing_is_shown(capsys):
    with watching(color=True) as watched:
        watched.update("contacts", "read", 1, 2)
        watched.hide()
    assert capsys.readouterr() == ("", "")
