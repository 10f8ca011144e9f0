"""Forms an answer can take on request: recognised, put on, taken off; and the requests for them."""
