"""Files of this machine as entries to import: the walk and its ignore rules."""
