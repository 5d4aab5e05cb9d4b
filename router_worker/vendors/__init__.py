"""Vendors' wire formats, without I/O: `vendor` is the interface, `table` the vendors, `wires` joins the two."""
