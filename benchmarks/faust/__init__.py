"""A peer: plays per video by Faust."""
