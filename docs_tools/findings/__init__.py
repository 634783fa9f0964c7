"""docs/findings.md: what the tool finds on the embedded world, run and written by one command."""
