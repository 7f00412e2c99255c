"""From scores to files, tables, figures and the report."""
