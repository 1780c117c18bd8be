"""How treatments end: episodes, dropout definitions, competing ends, presumed dropout, the life table."""
