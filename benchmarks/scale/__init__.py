"""What a deployment of a million events a second needs, from measured costs; and a simulation that supports it."""
