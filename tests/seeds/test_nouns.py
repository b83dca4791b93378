"""Articles, plurals and names come out as people write them."""

import pytest

from unicorn.seeds.nouns import Number, article, doing, number_of, plural, with_the

AN = (
    "apple, hour, MRI, 8-track, 11-year-old, 18-wheeler, 80s car, 1866 map, honest man, heirloom tomato, F-16A/B, "
    "A300B4, MD-11, ERJ 135, Il-76, EMB-120, Audi A5, AM General Hummer, NBA player, SUV, X-ray, LED lamp, oud, ibex, "
    "Ewok, hors d'oeuvre, umbrella, urchin, Eiffel Tower, S-Class, unripe mango, unidentified bird, eye"
)
A = (
    "unicorn, European robin, Eurasian owl, uniform, unicycle, ukulele, uakari, Uinta squirrel, utensil, one-eyed cat, "
    "onesie, ewe, euphonium, eucalyptus, yew, hotel, historic house, U-boat, UFO, URL, USB stick, UPS truck, BMW X5, "
    "UNESCO site, GMC Canyon, 707-320, 110-metre hurdle, 1966 car, T-shirt, NASA rocket, MINI Cooper, once-great singer"
)
PLURALS = {
    "mouse": "mice",
    "sheep": "sheep",
    "chef's knife": "chef's knives",
    "bird of prey": "birds of prey",
    "man of war": "men of war",
    "Portuguese man-of-war": "Portuguese men-of-war",
    "mother-in-law": "mothers-in-law",
    "cup of tea": "cups of tea",
    "lily of the valley": "lilies of the valley",
    "Canada goose": "Canada geese",
    "ox": "oxen",
    "leaf": "leaves",
    "roof": "roofs",
    "thief": "thieves",
    "cherry": "cherries",
    "monkey": "monkeys",
    "potato": "potatoes",
    "photo": "photos",
    "box": "boxes",
    "watch": "watches",
    "fungus": "fungi",
    "larva": "larvae",
    "octopus": "octopuses",
    "shaman": "shamans",
    "trellis": "trellises",
    "waltz": "waltzes",
    "hippopotamus": "hippopotamuses",
    "shrimp": "shrimp",
    "aircraft": "aircraft",
    "species": "species",
    "snowman": "snowmen",
    "German shepherd": "German shepherds",
    "Boeing 747": "Boeing 747s",
    "SUV": "SUVs",
    "jack-in-the-box": "jack-in-the-boxes",
    "passer-by": "passers-by",
    "Black footed Albatross": "Black footed Albatrosses",
    "Mouse": "Mice",
    "policewoman": "policewomen",
}
NUMBERS = {
    Number.COUNTABLE: "apple, glass, bus, iris, lens, cactus, rice cooker, bag of chips, canvas, species, chess set, "
    "gas mask, bikini, zucchini, lotus, triceratops, Great Pyrenees, jellyfish, loaf of bread, laptop",
    Number.UNCOUNTABLE: "rice, fried rice, sushi, macaroni and cheese, foie gras, ice cream, asparagus, furniture",
    Number.PLURAL: "scissors, jeans, French fries, waffles, oysters, sunglasses, pants, skis, zucchinis, mice, "
    "children, fungi, birds of prey, fish and chips, huevos rancheros, eggs benedict, laptops, tacos, binoculars, ribs",
}
WITH = (
    "Eiffel Tower, Taj Mahal, Golden Gate Bridge, Statue of Liberty, Great Wall of China, Louvre Museum, White House, "
    "Sydney Opera House, Colosseum, Brandenburg Gate, Grand Canyon, Leaning Tower of Pisa, Pyramids of Giza, London Eye"
)
WITHOUT = (
    "Big Ben, Tower Bridge, Stonehenge, Mount Everest, Niagara Falls, Machu Picchu, Buckingham Palace, Times Square, "
    "Notre-Dame Cathedral, Petra, Angkor Wat, Lake Como"
)


@pytest.mark.parametrize(("word", "expected"), [(w, "an") for w in AN.split(", ")] + [(w, "a") for w in A.split(", ")])
def test_an_article_goes_by_the_sound(word: str, expected: str) -> None:
    assert article(word) == expected


@pytest.mark.parametrize("label", PLURALS)
def test_a_plural(label: str) -> None:
    assert plural(label) == PLURALS[label]


@pytest.mark.parametrize(("label", "number"), [(w, n) for n, words in NUMBERS.items() for w in words.split(", ")])
def test_what_can_be_counted_and_what_is_a_plural_already(label: str, number: Number) -> None:
    assert number_of(label) is number


@pytest.mark.parametrize("name", WITH.split(", "))
def test_a_name_with_its_article(name: str) -> None:
    assert with_the(name) == with_the(f"The {name}") == f"the {name}"


@pytest.mark.parametrize("name", WITHOUT.split(", "))
def test_a_name_without_one(name: str) -> None:
    assert with_the(name) == name


@pytest.mark.parametrize(
    ("activity", "expected"),
    [
        ("archery", "doing archery"),
        ("chess", "playing chess"),
        ("basketball", "playing basketball"),
        ("playing the violin", "playing the violin"),
        ("horse riding", "horse riding"),
        ("swimming", "swimming"),
    ],
)
def test_what_somebody_is_doing(activity: str, expected: str) -> None:
    assert doing(activity) == expected
