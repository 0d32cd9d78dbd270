"""One file a command; each imports what it does only when it is called."""
