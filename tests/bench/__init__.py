"""What the style costs, measured beside its peers; see docs/performance.md."""
