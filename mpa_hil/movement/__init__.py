"""How the MN moves: positions over time, what it hears there of each access point, and recordings.

Knows neither lab files nor radios: `mpa_hil.scenario.movement` makes a course of a lab, which
`mpa_hil.lab.air` plays.
"""
