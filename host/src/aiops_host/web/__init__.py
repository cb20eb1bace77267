"""Routes by noun: what answers HTTP. No SQL and no queue types here."""
