"""Mobility management protocols (MMPs) behind `interface.MobilityProtocol`."""
