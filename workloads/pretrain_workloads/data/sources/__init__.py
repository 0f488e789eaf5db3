"""Read the files of a pipeline's sources: formats, compressions, byte ranges, bad records."""
