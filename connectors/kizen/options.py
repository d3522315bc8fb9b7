"""What a config says about a Kizen system."""

from __future__ import annotations

from enum import Enum
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

PRODUCTION: Final = "https://app.go.kizen.com/api"
EMBEDDED: Final = "embedded"
MAX_PAGE: Final = 1000  # records-api.md section 2.2


class OnArchived(Enum):
    """What a create, or a new name, does when an archived record has that name or email (records-api.md section 5.11)."""

    ASK = "ask"
    UNARCHIVE = "unarchive"
    OVERWRITE = "overwrite"


class KizenOptions(BaseModel):
    """
    The table of a system with `connector = "kizen"`.

    `url` is the base of the API, `embedded` for a local server inside this process (no account needed), or
    `embedded:FILE` for one that keeps its records in a file; `data` (a seed document) and `people` (generated contacts)
    fill a new one. `overlap` and `timeout` are in seconds.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: str = PRODUCTION
    api_key: SecretStr | None = None
    business_id: str | None = None
    user_id: str | None = None
    max_concurrency: int = Field(default=4, ge=1, le=32)
    requests_per_second: float | None = Field(default=None, gt=0)
    max_calls: int | None = Field(default=None, ge=1)
    on_archived: OnArchived = OnArchived.ASK
    webhook_secret: SecretStr | None = Field(default=None, min_length=24)
    overlap: float = Field(default=300.0, ge=0, le=86400)
    page_size: int = Field(default=MAX_PAGE, ge=1, le=MAX_PAGE)
    timeout: float = Field(default=30.0, gt=0, le=600)
    plain_http: bool = False
    data: str | None = None
    people: int | None = Field(default=None, ge=0)

    @field_validator("api_key", "webhook_secret")
    @classmethod
    def _no_blanks_around(cls, value: SecretStr | None) -> SecretStr | None:
        # A key read from a file usually ends in a newline.
        return None if value is None else SecretStr(value.get_secret_value().strip())

    @field_validator("business_id", "user_id")
    @classmethod
    def _no_blanks_around_ids(cls, value: str | None) -> str | None:
        return None if value is None else value.strip()

    @model_validator(mode="after")
    def _credentials(self) -> Self:
        if self.embedded_state is not None:
            return self
        if self.data is not None or self.people is not None:
            raise ValueError('data and people fill an embedded server: they need url = "embedded"')
        missing = [name for name in ("api_key", "business_id", "user_id") if not getattr(self, name)]
        if missing:
            raise ValueError(f"needs {', '.join(missing)}: the ids are on the user's page My Profile, the key is made there too")
        return self

    @property
    def embedded_state(self) -> str | None:
        """The state file of an embedded server, empty for one in memory; None where the server is elsewhere."""
        kind, _, state = self.url.partition(":")
        return state if kind == EMBEDDED else None
