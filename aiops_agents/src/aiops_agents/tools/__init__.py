"""Tools that gather a tenant's evidence."""
