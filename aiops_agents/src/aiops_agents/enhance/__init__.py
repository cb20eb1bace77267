"""The agent that writes the first note on a ticket."""
