"""What an audit found, as plain values; ``report`` renders them."""
