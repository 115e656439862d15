"""Who may use the APIs: secrets, origins of browsers, headers that protect them."""
