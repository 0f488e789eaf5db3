"""All input and output of the operator: the API server, and the progress endpoint of pods."""
