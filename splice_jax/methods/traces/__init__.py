"""Hand-crafted methods: each measures one trace, with no training."""
