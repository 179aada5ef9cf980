"""Foundation models, one file each."""
