"""Connectors for tests of the registry and the command line: their options are all that matters."""

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from syncengine.connector import Plugin


class Options(BaseModel):
    """Options of a make-believe web system."""

    model_config = ConfigDict(extra="forbid")

    url: str
    api_key: SecretStr
    second_key: SecretStr | None = None
    page_size: int = Field(default=100, ge=1)

    @model_validator(mode="after")
    def _keys_differ(self):
        if self.second_key is not None and self.second_key == self.api_key:
            raise ValueError("api_key and second_key are the same")
        return self


class Opened:
    """What `connect` returns: remembers what it was given."""

    def __init__(self, options, context):
        self.options = options
        self.context = context


plugin = Plugin(title="Web", options=Options, connect=Opened, guarantee="none")
