"""Say what kind of model a user named, and open runners on it."""
