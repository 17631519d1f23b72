"""Invented companies and people."""

from __future__ import annotations

import random

_FIRST = (
    "Acorn Amber Anchor Apex Aspen Atlas Aurora Basalt Beacon Birch Blue Bright Cedar Cinder Citrus Clear Cobalt Copper "
    "Coral Crest Delta Drift Ember Evergreen Falcon Fern Field Flint Forge Fox Garnet Glacier Granite Harbor Hazel "
    "Heron Hollow Indigo Iron Ivory Jade Juniper Kestrel Kite Lantern Larch Linden Lumen Maple Marble Meadow Mint Moss "
    "North Nova Oak Ochre Olive Onyx Orchid Osprey Pebble Pine Prairie Quartz Quill Raven Ridge River Rowan Sable Sage "
    "Salt Shale Silver Slate Spruce Stone Summit Swift Tern Thistle Tidal Timber Topaz Umber Vale Velvet Violet Willow "
    "Wren Zephyr"
).split()
_SECOND = (
    "Analytics Apparel Architects Audio Bakery Bikes Biotech Books Brewing Capital Clinics Coffee Commerce Consulting "
    "Dental Design Digital Energy Farms Films Fitness Foods Freight Games Garden Health Homes Hotels Insurance Labs "
    "Learning Legal Logistics Marine Media Mobility Motors Music Outdoors Packaging Partners Pharma Photo Print "
    "Robotics Schools Security Software Solar Sports Studio Supply Systems Textiles Tools Toys Travel Ventures Works"
).split()
_PEOPLE = (
    "Ada Amir Ana Anders Aya Bea Bo Carla Chen Clara Dana Dev Elif Elsa Emeka Eva Femi Finn Grace Hana Hugo Ida Imran "
    "Ines Ivan Jana Joan Jun Kai Kofi Lea Leo Lin Luca Maja Mara Max Mei Milo Mina Nadia Nia Nils Noor Olga Omar Otto "
    "Pia Priya Rafa Remy Rosa Sami Sara Sena Tara Theo Tomas Uma Vera Wanda Yara Yusuf Zoe"
).split()
_FAMILIES = (
    "Abbott Adeyemi Ahmed Baker Bauer Berg Bianchi Brandt Chen Costa Diaz Dubois Eriksen Farkas Fischer Flores Garcia "
    "Greene Haddad Hall Hansen Ito Jansen Jones Kaya Keller Khan Kim Kowalski Larsen Lee Lopez Marino Meyer Moreau "
    "Nakamura Novak Okafor Olsen Park Patel Pereira Petrov Popescu Quinn Rahman Reyes Rossi Sato Schmidt Silva Singh "
    "Sousa Tanaka Torres Vargas Virtanen Walsh Weber Wong Yilmaz Young Zhang Ziegler"
).split()


def company(rng: random.Random, taken: set[str]) -> tuple[str, str]:
    """A company nobody has yet: its name and its mail domain (under ``example``, so no mail leaves)."""
    while True:
        name = f"{rng.choice(_FIRST)} {rng.choice(_SECOND)}"
        if name in taken:
            name = f"{name} {rng.choice(_FAMILIES)}"
        if name not in taken:
            taken.add(name)
            return name, f"{name.lower().replace(' ', '-')}.example"


def person(rng: random.Random) -> str:
    """A person's full name."""
    return f"{rng.choice(_PEOPLE)} {rng.choice(_FAMILIES)}"


def local_part(name: str) -> str:
    """The part of a mail address before the at sign."""
    return name.lower().replace(" ", ".")
