"""Read artifacts for people: a short pod prints what the command line asked for."""
