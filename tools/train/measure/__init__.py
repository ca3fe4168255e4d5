"""What a pair of exported models is worth: exact forward passes, loss, acceptance under speculative decoding."""
