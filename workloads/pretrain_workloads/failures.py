"""The failures that only the user can mend; everything else is retried."""


class UserError(Exception):
    """The manifest, a Secret or a location is wrong: names it, its value and what would do."""


class BadData(Exception):
    """An input cannot be read: names the file and the place in it."""
