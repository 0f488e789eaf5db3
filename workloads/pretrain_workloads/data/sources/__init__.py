"""Read the files of a pipeline's sources: formats, compressions, byte ranges, bad records.

`list` cuts every file into pieces (`pieces.py`) and shares them out to the tasks of `prepare`,
which read them with `reader.SourceReader`. To add a format: one file with its `read_…` function,
one line in the registry `formats.FORMATS`, and its name in the API type `Format`.
"""
