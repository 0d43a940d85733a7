"""A small shop: orders, a catalogue, invoices, prices, reports."""
