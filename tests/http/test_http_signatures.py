"""Signatures after Standard Webhooks: the published vector, every bit counts, and hostile headers are refused, not stumbled over."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.errors import AuthError
from syncengine.http.signatures import ID, SIGNATURE, TIMESTAMP, WINDOW, prove_shared, prove_signed, sign, signing_key

# https://github.com/standard-webhooks/standard-webhooks/blob/main/libraries/python/tests/test_webhooks.py
VECTOR_SECRET = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VECTOR_ID, VECTOR_AT, VECTOR_BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
VECTOR = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
SECRET = "whsec_" + b64encode(bytes(range(32))).decode()
NOW = 1_800_000_000


def proved(secret, headers, body, now=NOW):
    try:
        prove_signed([secret] if isinstance(secret, str) else secret, headers, body, now=now)
    except AuthError:
        return False
    return True


@pytest.mark.parametrize("prefix", ["", "whsec_"])
def test_the_published_vector_is_signed_and_proved_alike(prefix):
    headers = sign(prefix + VECTOR_SECRET, id=VECTOR_ID, at=VECTOR_AT, body=VECTOR_BODY)
    assert headers == {ID: VECTOR_ID, TIMESTAMP: str(VECTOR_AT), SIGNATURE: VECTOR}
    assert proved(prefix + VECTOR_SECRET, headers, VECTOR_BODY, VECTOR_AT)


def test_every_bit_of_a_delivery_counts():
    body = b'{"a": 1}'
    headers = sign(SECRET, id="msg_1", at=NOW, body=body)
    assert proved(SECRET, headers, body)
    for index in range(len(body) * 8):
        changed = bytearray(body)
        changed[index // 8] ^= 1 << index % 8
        assert not proved(SECRET, headers, bytes(changed))
    for name, value in headers.items():
        for index in range(len(value)):
            other = value[:index] + chr(ord(value[index]) ^ 1) + value[index + 1 :]
            assert not proved(SECRET, {**headers, name: other}, body), (name, index)


def test_a_recorded_delivery_is_good_for_the_window_and_no_longer():
    body = b"{}"
    for age, good in ((WINDOW, True), (-WINDOW, True), (WINDOW + 1, False), (-WINDOW - 1, False)):
        assert proved(SECRET, sign(SECRET, id="a", at=int(NOW - age), body=body), body) is good


def test_either_of_two_secrets_and_any_of_several_signatures_will_do():
    old = "whsec_" + b64encode(b"o" * 24).decode()
    headers = sign(old, id="a", at=NOW, body=b"")
    assert proved([SECRET, old], headers, b"")
    assert proved([SECRET, old], {**headers, SIGNATURE: f"v1,AAAA v2,x {headers[SIGNATURE]}"}, b"")
    assert not proved([SECRET], headers, b"")


@given(
    st.dictionaries(st.sampled_from([ID, TIMESTAMP, SIGNATURE, "other"]), st.text(max_size=60)),
    st.binary(max_size=50),
    st.lists(st.text(max_size=40), max_size=3),
)
def test_whatever_comes_it_is_refused_in_words(headers, body, secrets):
    with pytest.raises(AuthError) as refused:
        prove_signed(secrets, headers, body, now=NOW)
    assert not any(secret in str(refused.value) for secret in secrets if len(secret) > 12)


def test_a_secret_that_can_not_sign_is_told_without_it():
    for bad in ("", "whsec_", "no base 64 at all!", b64encode(b"x" * 23).decode()):
        with pytest.raises(ValueError) as refused:
            signing_key(bad)
        assert not bad or bad not in str(refused.value)


@given(st.text(min_size=1), st.text())
def test_only_the_secret_itself_is_the_secret(secret, given_):
    if secret == given_:
        prove_shared([secret], given_, header="X")
        return
    with pytest.raises(AuthError):
        prove_shared([secret], given_, header="X")
    prove_shared([given_ + "x", secret], secret, header="X")
