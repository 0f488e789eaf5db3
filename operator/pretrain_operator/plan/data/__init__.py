"""What an object that produces an artifact needs now: its stages, one after the other."""
