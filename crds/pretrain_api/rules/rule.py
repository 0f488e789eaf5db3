"""An admission rule, and the problem that it reports."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """What a broken rule means for the object."""

    ERROR = "error"
    """The object is refused, by the API server too."""
    WARNING = "warning"
    """Allowed, but probably a mistake."""
    NOT_YET = "notYet"
    """Valid, but our trainer cannot run it yet: it can be planned only."""


@dataclass(frozen=True)
class Rule:
    """One rule about a spec: the same CEL text runs in the API server and here."""

    id: str
    """Name of the rule, in lower case with hyphens; it never changes."""

    field: str
    """Field below `spec` that the user would change first."""

    holds: str
    """CEL text over `self` (the spec), true where all is well."""

    message: str
    """What is wrong and what to do, after `<field>: `; `%d` and `%s` stand for `values`."""

    values: tuple[str, ...] = ()
    """CEL texts that fill the message."""

    severity: Severity = Severity.ERROR
    """What breaking it means for the object."""

    source: str = ""
    """Where upstream has the rule, or fails."""

    otherwise: str = ""
    """What happens on a cluster without the rule."""

    stricter: str = ""
    """Why we refuse what Megatron-core's configuration accepts, for example because the first step
    would fail; empty where it refuses the same."""

    is_transition: bool = False
    """Whether `holds` compares with `oldSelf`: it is checked when an object changes."""

    @property
    def message_expression(self) -> str | None:
        """Return the CEL text of the message, or nothing where the message has no values."""
        if not self.values:
            return None
        return f"{quoted(self.message)}.format([{', '.join(self.values)}])"

    @property
    def plain_message(self) -> str:
        """Return the message without values, for servers that cannot compute it."""
        return self.message.replace("%d", "…").replace("%s", "…")


@dataclass(frozen=True)
class Problem:
    """A rule that a spec breaks."""

    rule: str
    """The rule's id; `schema` for a type, range or unknown field."""

    field: str
    """Path from `spec`."""

    message: str
    """What is wrong and what to do."""

    severity: Severity = Severity.ERROR
    """What it means for the object."""

    source: str = ""
    """Where upstream has the rule."""

    def __str__(self) -> str:
        """Return one line: field, value and what to do."""
        return f"{self.field}: {self.message}"

    @property
    def is_refusal(self) -> bool:
        """Return whether the object cannot run as it is."""
        return self.severity is not Severity.WARNING


def quoted(text: str) -> str:
    """Return `text` as a CEL string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
