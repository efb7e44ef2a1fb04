"""From findings to a report: incidents, verdict, health, outlook, and how much of the log was understood."""
