"""Query strategies, one family a file. A module here is found by being here."""
