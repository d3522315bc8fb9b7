"""The daemon: schedules, hints, events, alerts and a page to look at, over the same `App` that the command line uses."""
