"""Progress of a run while it trains: loss curve, speed, and the server that shows them."""
