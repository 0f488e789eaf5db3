"""What the layers compute with: attention, rotary positions, norms and the loss."""
