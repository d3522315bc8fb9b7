"""The `[daemon]` table: from a validated document to `DaemonConfig`, and showing it without secrets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from syncengine.config.document import DaemonTable, DocumentTable
from syncengine.config.model import AlertsConfig, Config, DaemonConfig, Toml
from syncengine.config.problems import Place, Problems
from syncengine.wording import nearest

MASK = "********"
DEFAULTS = DaemonConfig()
_SCHEMES = ("https://", "http://")


def build_daemon(document: DocumentTable, problems: Problems) -> DaemonConfig:
    """The settings of the daemon; what only shows in several values at once is added to the problems."""
    table = document.daemon
    _check_proxies(table, problems)
    _check_alerts(table, problems)
    for system in table.hooks:
        place: Place = ("daemon", "hooks", system)
        if system not in (document.systems or {}) and not problems.touch(("systems",)):
            problems.add(place, f"there is no system {system!r} in this file", nearest(system, document.systems or {}))
        elif table.hooks[system].secret is None and not problems.touch(place):
            problems.add(place, "the secret is missing", 'add secret = "${...}"')
        else:
            _check_signing(place, table.hooks[system].secret or [], problems)
    daemon = DaemonConfig(
        listen=table.listen or DEFAULTS.listen,
        web=table.web,
        parallel=table.parallel,
        jitter=table.jitter,
        timezone=table.timezone,
        token=table.token,
        proxy_user_header=table.proxy_user_header,
        trusted_proxies=tuple(table.trusted_proxies),
        hosts=tuple(table.hosts),
        stop_within=table.stop_within,
        keep=table.keep,
        alerts=AlertsConfig(url=table.alerts.url, secret=table.alerts.secret, stale_after=table.alerts.stale_after),
        hooks={system: tuple(hook.secret or ()) for system, hook in table.hooks.items()},
    )
    reach = beyond_reach(daemon)
    if reach is not None and not problems.touch(("daemon",)):
        problems.add(("daemon", "listen"), *reach)
    return daemon


def _check_proxies(table: DaemonTable, problems: Problems) -> None:
    if problems.touch(("daemon",)):
        return
    keys = {"proxy_user_header": bool(table.proxy_user_header), "trusted_proxies": bool(table.trusted_proxies)}
    if len(set(keys.values())) > 1:
        there, missing = sorted(keys, key=lambda key: not keys[key])
        cure = f"add {missing}: without it nobody knows whose header counts"
        problems.add(("daemon", there), f"{there} stands without {missing}", cure)


def beyond_reach(daemon: DaemonConfig) -> tuple[str, str] | None:
    """What is wrong with an address that anybody can reach, and the cure; None where it is known who may come in."""
    if not daemon.web or daemon.listen.is_loopback or daemon.token is not None or daemon.proxy_user_header is not None:
        return None
    return (
        "{value} can be reached from other machines, and nothing tells who may come in",
        'add token = "${...}", or proxy_user_header and trusted_proxies, to [daemon], or listen on 127.0.0.1',
    )


def _check_signing(place: Place, secrets: Sequence[str], problems: Problems) -> None:
    from syncengine.http.signatures import signing_key  # its package is dear to import, and few configs need it

    for secret in secrets:
        try:
            signing_key(secret)
        except ValueError as error:
            cure = 'make one with: echo "whsec_$(openssl rand -base64 32)"'
            problems.add((*place, "secret"), f"a secret for signed webhooks reads whsec_ and base64; this one {error}", cure)


def _check_alerts(table: DaemonTable, problems: Problems) -> None:
    url = table.alerts.url
    if url is not None and not url.startswith(_SCHEMES):
        problems.add(("daemon", "alerts", "url"), "{value} is no address of a webhook", "it begins with https://")


def daemon_secrets(daemon: DaemonConfig) -> set[str]:
    """The values of the table that must never be shown; the address of a webhook is often all the proof that it asks for."""
    secrets = {
        daemon.token,
        daemon.alerts.secret,
        daemon.alerts.url,
        *(secret for hook in daemon.hooks.values() for secret in hook),
    }
    return {secret for secret in secrets if secret}


def show_daemon(config: Config) -> dict[str, object]:
    """The table with its defaults; a secret shows as its placeholder, or as asterisks where the file holds it itself."""
    daemon, written = config.daemon, config.written.get("daemon", {})
    assert isinstance(written, Mapping)
    alerts = written.get("alerts", {})
    assert isinstance(alerts, Mapping)
    return {
        "listen": str(daemon.listen),
        "web": daemon.web,
        "parallel": daemon.parallel,
        "jitter": daemon.jitter,
        "timezone": daemon.timezone,
        "token": _masked(written.get("token")),
        "proxy_user_header": daemon.proxy_user_header,
        "trusted_proxies": list(daemon.trusted_proxies),
        "hosts": list(daemon.hosts),
        "stop_within": daemon.stop_within,
        "keep": daemon.keep,
        "alerts": {
            "url": _masked(alerts.get("url")),
            "secret": _masked(alerts.get("secret")),
            "stale_after": daemon.alerts.stale_after,
        },
        "hooks": _hooks(written.get("hooks", {})),
    }


def _hooks(written: object) -> dict[str, object]:
    hooks: dict[str, Toml] = dict(written) if isinstance(written, Mapping) else {}
    return {system: {"secret": _masked(hook.get("secret"))} for system, hook in hooks.items()}


def _masked(written: object) -> object:
    if isinstance(written, list):
        return [_masked(each) for each in written]
    return MASK if written is not None and "${" not in str(written) else written
