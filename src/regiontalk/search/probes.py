"""Ordinary sentences to measure an index with, where its owner names none."""

from __future__ import annotations

PROBES = """
a black dog jumps over a hurdle
two children play football on the grass
a man in a red jacket stands on a snowy mountain
a woman with a white hat sits on a bench
people walk across a busy street
a brown horse runs through a field
a boy swings on a rope over the water
three girls smile at the camera
a white cat sleeps on a blue sofa
a cyclist rides past a crowd
a surfer on a large wave
an old man reads a newspaper
a baby in a yellow shirt eats cake
a small boat on a calm lake
a basketball player shoots the ball
two dogs fight over a stick
a train stops at a station
a group of friends around a table with food
a climber hangs on a steep rock
a girl blows bubbles in the park
a man plays the guitar on a stage
a skateboarder jumps down some stairs
a bird sits on the branch of a tree
children in a swimming pool
a woman holds an umbrella in the rain
a red car in front of a house
a dog swims with a ball in its mouth
a couple dances at a wedding
a firefighter climbs a ladder
a boy with glasses looks through a window
a football team celebrates
a woman takes a photo of a building
a kitchen with a stove and a window
a motorcycle turns on a muddy track
a man sells fruit at a market
sheep on a green hill
a child draws on the pavement
a skier in the air
two women talk on a train
an elephant drinks from a river
a plane above the clouds
a sandy beach with many people
a lamp on a wooden desk
a man in a suit talks on the phone
a girl in a pink dress climbs some stairs
a bowl of soup and a slice of bread
a tall tower at night
a bus beside a yellow taxi
a tennis player hits the ball
a black and white dog catches a disc
""".strip().splitlines()
"""One sentence each."""
