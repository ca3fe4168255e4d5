"""The Llama-family decoder as it is trained: shapes, fused operations, flat parameters, forward pass, optimizer."""
