"""ManageEngine ServiceDesk Plus as a ticketing tool of AI Ops."""
