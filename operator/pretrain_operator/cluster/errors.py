"""The two ways in which the API server says no."""


class Refused(Exception):
    """The API server will not take a request as it is: somebody has to change something."""


class Unavailable(Exception):
    """The API server did not answer, or cannot take the request now: time will heal it."""
