"""What a PretrainJob needs now: its attempts, one after the other."""
