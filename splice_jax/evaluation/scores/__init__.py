"""From maps and masks to scores."""
