"""What ships with the tiers: anchors and evidence."""
