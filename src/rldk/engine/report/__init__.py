"""From findings to what a reader is told: incidents, verdict, health, outlook, and how much was understood."""
