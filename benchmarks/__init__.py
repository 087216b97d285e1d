"""Speed, side by side with what else does the work, in one run on one machine; absolute numbers mean little alone."""
