"""Events in, read models out: one loop for every projection, and what an operator does with them."""
