"""Files, folders and symlinks become blocks: options, layouts, directories, the pipeline."""
