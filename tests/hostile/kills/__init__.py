"""Kill writing commands at every kind of moment, as SQLite's tests do, and look at what is left."""
