"""Photos to regions: one pass of the vision graph, then NMS, RoIAlign and projection (Eq. 1)."""
