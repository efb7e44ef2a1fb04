"""Decodes byte layouts: consoles, tables, records, databases. Nothing here knows a trainer."""
