"""Photos to regions: one pass of the vision graph, then NMS, RoIAlign and the projection of Eq. 1 in NumPy."""
