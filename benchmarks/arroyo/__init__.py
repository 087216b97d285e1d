"""A peer: plays per video by sentry-arroyo."""
