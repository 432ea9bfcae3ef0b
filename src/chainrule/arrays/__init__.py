"""What may stand under, or around, a Tensor, and the namespace of functions that goes with it."""
