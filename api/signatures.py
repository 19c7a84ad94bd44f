"""Signs webhooks as Standard Webhooks 1.0.0 has it: HMAC-SHA256 over `id.timestamp.body`, one signature per secret.

Callers do not share a secret, or one of them could sign in our name to another: everybody's own is derived from the
service's. Without keys there is one caller, who set WEBHOOK_SECRET and verifies with just that.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence

from api.auth import LOCAL

PREFIX = "whsec_"


class Signer:
    """Signs with every secret of WEBHOOK_SECRET, so that a receiver may change over while both hold."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = tuple(base64.b64decode(secret.removeprefix(PREFIX)) for secret in secrets)

    @property
    def ready(self) -> bool:
        """Whether there is anything to sign with."""
        return bool(self._secrets)

    def secrets_of(self, owner: str) -> list[str]:
        """What this owner verifies with: one secret, or two while the service changes over."""
        return [PREFIX + base64.b64encode(secret).decode() for secret in self._own(owner)]

    def headers(self, message_id: str, at_s: int, body: bytes, *, owner: str) -> dict[str, str]:
        """The three headers of one try; `at_s` is Unix time."""
        content = f"{message_id}.{at_s}.".encode() + body
        digests = (hmac.digest(secret, content, hashlib.sha256) for secret in self._own(owner))
        return {
            "Webhook-Id": message_id,
            "Webhook-Timestamp": str(at_s),
            "Webhook-Signature": " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests),
        }

    def _own(self, owner: str) -> list[bytes]:
        if owner == LOCAL.owner:
            return list(self._secrets)
        return [hmac.digest(secret, f"orfeas webhooks of {owner}".encode(), hashlib.sha256) for secret in self._secrets]
