"""How a rank ends before the last step without a failure of its own."""


class Interrupted(Exception):
    """The ranks were asked to end; a checkpoint is saved."""


class NotANumber(Exception):
    """The loss or the gradient is no number: the run cannot go on from here."""
