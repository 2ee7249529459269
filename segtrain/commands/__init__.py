"""The commands: one function each, named as its file; its parameters are the top-level settings in conf/<name>.yaml."""
