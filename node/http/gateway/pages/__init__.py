"""What people look at in a browser, as HTML."""
