"""What all bodies of the API share: strictness, names, references, pages. A noun's own bodies are in its own file."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from ringfence.errors import Invalid
from ringfence.model.names import ACCOUNT_PATTERN, NAME_PATTERN, check_account_name, check_name

ItemT = TypeVar("ItemT")


class Asked(BaseModel):
    """A body that comes in: unknown fields are refused, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Told(BaseModel):
    """A body that goes out."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)


def _check_name(name: str) -> str:
    try:
        return check_name(name)
    except Invalid as invalid:
        raise ValueError(invalid.why) from None


Name = Annotated[str, AfterValidator(_check_name), Field(max_length=63, json_schema_extra={"pattern": NAME_PATTERN})]
"""A DNS label: 1 to 63 lower-case letters, digits and hyphens. Refused in the model's words, not as a pattern."""


def _check_account_name(name: str) -> str:
    try:
        return check_account_name(name)
    except Invalid as invalid:
        raise ValueError(invalid.why) from None


AccountName = Annotated[
    str, AfterValidator(_check_account_name), Field(max_length=120, json_schema_extra={"pattern": ACCOUNT_PATTERN})
]
"""An account's name, which may be a mail address."""
AccountRef = Annotated[str, StringConstraints(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""The name or the id of an account."""
Ref = Annotated[str, StringConstraints(max_length=63, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""The name or the id of something that is there already."""
Line = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""A line of text without control characters."""
Labels = Annotated[dict[str, str], Field(max_length=32)]
Count = Annotated[int, Field(ge=1, le=4096)]


class PageOf(Told, Generic[ItemT]):
    """Some of a list. `next` is the `cursor` of the next page, null at the end."""

    items: list[ItemT]
    next: str | None


class Ordered(Told):
    """A change that an operation brings into force."""

    operation: str = Field(description="The operation's id.")


def example(value: dict[str, Any]) -> ConfigDict:
    """Build the configuration that gives a body its example in the API's description."""
    return ConfigDict(json_schema_extra={"example": value})
