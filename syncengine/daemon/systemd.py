"""
Telling systemd how we are (sd_notify(3)): a datagram to the socket that it names; without one nothing is said.

The unit that goes with it is printed by `syncengine daemon --unit`.
"""

from __future__ import annotations

import os
import shlex
import socket
from collections.abc import Mapping
from pathlib import Path

_UNIT = """\
[Unit]
Description=syncengine keeps the pairs of {config} the same
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
ExecStart={command} daemon --config {argument} --log-format json
ExecReload=/bin/kill -HUP $MAINPID
WorkingDirectory={folder}
User={user}
Restart=on-failure
RestartSec=5
WatchdogSec=60
TimeoutStopSec={stop:.0f}
NoNewPrivileges=yes
PrivateTmp=yes
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths={writable}

[Install]
WantedBy=multi-user.target
"""


class Systemd:
    """The service manager that started us, if there is one."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self.watchdog = _watchdog(environ)

    def ready(self) -> None:
        """We work, or work again after a reload."""
        self._send("READY=1")

    def reloading(self, monotonic: float) -> None:
        """The config is read anew; `monotonic` as the clock of the kernel has it, in seconds."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={int(monotonic * 1e6)}")

    def stopping(self, within: float) -> None:
        """We were asked to stop, and need so many seconds at the most."""
        self._send(f"STOPPING=1\nEXTEND_TIMEOUT_USEC={int(within * 1e6)}")

    def alive(self) -> None:
        """The watchdog need not bark."""
        if self.watchdog is not None:
            self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """What `systemctl status` shows."""
        self._send(f"STATUS={text}")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        # "@" is how the environment spells the NUL byte of an abstract address.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            try:
                channel.sendto(message.encode(), address)
            except OSError:
                return  # a manager that does not listen is no reason to stop syncing


def _watchdog(environ: Mapping[str, str]) -> float | None:
    """The seconds within which the watchdog wants to hear of us; None where there is none, or it means another process."""
    text, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not text.isdigit() or (pid and pid != str(os.getpid())):
        return None
    return int(text) / 1e6


def unit(config: Path, *, state: Path, command: str, user: str, stop_within: float) -> str:
    """A unit file for the daemon of this config; it may write into the folders of the config and the state, and nowhere else."""
    return _UNIT.format(
        config=_plain(config.name),
        command=shlex.quote(_plain(command)),
        argument=shlex.quote(_plain(str(config))),
        folder=_plain(str(config.parent)),
        user=user,
        stop=stop_within + 15.0,
        writable=" ".join(shlex.quote(_plain(str(folder))) for folder in dict.fromkeys((config.parent, state.parent))),
    )


def _plain(text: str) -> str:
    """Without what systemd would fill in."""
    return text.replace("%", "%%")
