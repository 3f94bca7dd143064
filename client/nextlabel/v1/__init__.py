"""Generated from protos/nextlabel/v1 by `make proto`; never edited by hand."""
