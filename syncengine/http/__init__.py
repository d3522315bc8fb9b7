"""
HTTP for connectors: one call that either brings a definite answer or raises a classed error.

    client = HttpClient("https://crm.example.com/api", headers={"X-API-KEY": options.api_key})
    reply = client.call(Effect.READ, "GET", "records/7")        # raises where nobody can know, or nothing was sent
    reply.json()                                                # raises the classed error of a refusal

What it holds to (reliability.md sections 3.1, 5 and 7):

- A call has one deadline for connecting, sending and the whole answer, however slowly the bytes drip.
- A call that never left is a `TransientError`. One that left and brought no definite answer is `OutcomeUnknown` for a
  write and `TransientError` for a read. Nothing is sent twice; retries belong to the engine.
- Credentials go to the configured origin only. Redirects are followed for GET, on the same origin; links likewise.
- An answer is at most `max_body` bytes after decompression. JSON is strict: UTF-8, no NaN, no duplicate keys, numbers
  with a fraction are Decimal.
- Errors name the method, the path without its query, the status and the system's request id; never headers or bodies.
  Neither cookies nor proxies from the environment are used, and httpx's own log, which shows queries, is not written:
  requests go straight to the transport.
"""

from syncengine.http.answers import Effect, Reply, http_date, parse_json, retry_after_seconds, status_error
from syncengine.http.client import Gate, HttpClient, Limits, PlainHttp

__all__ = [
    "Effect",
    "Gate",
    "HttpClient",
    "Limits",
    "PlainHttp",
    "Reply",
    "http_date",
    "parse_json",
    "retry_after_seconds",
    "status_error",
]
