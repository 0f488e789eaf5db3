"""The only input and output: the API server, and the progress endpoint of training pods."""
