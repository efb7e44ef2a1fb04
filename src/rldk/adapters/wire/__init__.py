"""How bytes are laid out: consoles, tables, records, databases. Nothing here knows a trainer."""
