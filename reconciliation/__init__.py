"""Does the account add up? Everything that says what was spent, compared to the last pico-dollar."""
