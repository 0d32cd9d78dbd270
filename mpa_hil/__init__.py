"""WHAT: handover between Wi-Fi domains, measured."""
