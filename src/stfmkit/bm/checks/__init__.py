"""What an audit looks at: one idea a file, each a function that yields findings."""
