"""A peer: plays per video by Quix Streams."""
