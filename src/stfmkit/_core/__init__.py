"""What every other room may use: errors, argument checks, slot names, randomness, progress, stores."""
