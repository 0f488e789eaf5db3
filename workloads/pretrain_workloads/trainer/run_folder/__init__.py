"""The folder of a run in storage: where it is, who may write there, whether the run is done."""
