"""What commands take: options, numbers, standard input, files as the body of an upload."""
