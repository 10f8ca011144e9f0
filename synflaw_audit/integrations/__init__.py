"""What an audit found, in the libraries that a team trains with."""
