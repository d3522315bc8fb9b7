"""
Webhook deliveries of the platform's workflows (records-api.md section 10).

An administrator makes a workflow with the action "External HTTP Request": POST, a header `X-Webhook-Secret` with the secret
of the config, and the body

    {"object": "client_client", "record_id": "<merge field: record id>", "event": "<anything that differs per delivery>"}

The platform documents no signature, so the shared secret is all that tells a genuine delivery.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Final

from pydantic import SecretStr

from syncengine.connector import Hint
from syncengine.errors import AuthError, ProtocolError
from syncengine.http import parse_json

HEADER: Final = "X-Webhook-Secret"


def hints(secret: SecretStr | None, headers: Mapping[str, str], body: bytes) -> list[Hint]:
    """The hint of one delivery. Raises AuthError unless it is genuine, ProtocolError where its body is not as above."""
    if secret is None:
        raise AuthError("webhooks are not taken: set webhook_secret for this system, and the same text in the workflow's header")
    given = next((value for name, value in headers.items() if name.lower() == HEADER.lower()), "")
    if not hmac.compare_digest(given.encode("utf-8", "replace"), secret.get_secret_value().encode()):
        raise AuthError(f"a webhook came without the secret in its header {HEADER}; it is not looked at")
    try:
        found = parse_json(body)
    except ValueError as error:
        raise ProtocolError(f"a webhook was genuine, but {error}") from None
    match found:
        case {"object": str(resource), "record_id": str(id_)} if resource and id_:
            event = found.get("event")
            return [Hint(resource=resource, id=id_, event=event if isinstance(event, str) and event else None)]
        case _:
            raise ProtocolError('a webhook was genuine, but its body is not {"object": "...", "record_id": "..."}')
