"""`make demo`: raw text to a trained model on one machine, in front of your eyes."""
