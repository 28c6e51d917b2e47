"""The command line: commands, their output, tables and shell completion."""
