"""Parts of a DataPipeline's spec and status; `datapipeline.py` puts them together."""
