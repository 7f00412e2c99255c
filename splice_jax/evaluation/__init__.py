"""From maps and masks to scores, and from scores to tables, files and a report."""
