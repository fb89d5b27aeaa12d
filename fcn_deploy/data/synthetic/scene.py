"""Paint a street scene from the far to the near."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.data.synthetic.canvas import Canvas, Floats, disc, smooth_noise, triangle

SKY, BUILDING, VEGETATION, ROAD, POLE, SIGN, CAR, PERSON = range(8)


def render_scene(rng: np.random.Generator, height: int, width: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return one scene: uint8[height, width, 3] RGB and its uint8[height, width] label."""
    canvas = Canvas(rng, height, width)
    horizon = int(height * rng.uniform(0.4, 0.58))
    _sky(canvas)
    _buildings(canvas, horizon)
    _ground(canvas, horizon)
    _trees(canvas, horizon)
    _road(canvas, horizon)
    _things(canvas, horizon)
    return _photograph(canvas), canvas.label


def _colour(rng: np.random.Generator, low: float = 0.1, high: float = 0.9, vivid: float = 1.0) -> Floats:
    """Return any colour; half of the time close to grey, otherwise as saturated as `vivid` lets it be."""
    colour = rng.uniform(low, high, 3)
    share = vivid if rng.random() < 0.5 else 0.2 * vivid
    return np.asarray(share * colour + (1 - share) * colour.mean(), np.float32)


def _foliage(rng: np.random.Generator) -> Floats:
    """Return a colour from dark green over olive to autumn brown."""
    green, brown = np.array([0.2, 0.42, 0.12]), np.array([0.48, 0.36, 0.16])
    share = rng.uniform(0, 1) ** 2
    return (((1 - share) * green + share * brown) * rng.uniform(0.6, 1.4)).astype(np.float32)


def _sky(canvas: Canvas) -> None:
    rng, height, width = canvas.rng, canvas.height, canvas.width
    top = np.array([0.35, 0.55, 0.85]) if rng.random() < 0.5 else np.full(3, rng.uniform(0.5, 0.8))
    rise = rng.uniform(0.05, 0.3, 3).astype(np.float32)
    depth = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    clouds = smooth_noise(rng, height, width, max(6.0, height / 5))[:, :, None]
    canvas.image[:] = np.minimum(top.astype(np.float32) + depth * rise + 0.12 * clouds, 1)
    canvas.label[:] = SKY


def _buildings(canvas: Canvas, horizon: int) -> None:
    rng, left = canvas.rng, -int(canvas.rng.integers(0, canvas.width // 4 + 1))
    base = horizon + max(1, canvas.height // 24)
    while left < canvas.width:
        wide = int(canvas.width * rng.uniform(0.12, 0.35)) + 1
        tall = int(base * rng.uniform(0.35, 1.0)) + 1
        if rng.random() < 0.75:
            _house(canvas, base - tall, left, tall, wide)
        left += int(wide * rng.uniform(0.9, 1.3)) + 1


def _house(canvas: Canvas, top: int, left: int, tall: int, wide: int) -> None:
    rng = canvas.rng
    wall = canvas.textured(tall, wide, _colour(rng, 0.2, 0.85, vivid=0.6), 3.0, rng.uniform(0.05, 0.2))
    pitch = int(rng.integers(7, 15))
    row, column = np.indices((tall, wide))
    windows = (row % pitch > pitch // 3) & (column % pitch > pitch // 2) & (row > 2) & (column < wide - 2)
    wall[windows] = _colour(rng, 0.05, 0.75, vivid=0.5)
    canvas.paint(top, left, np.ones((tall, wide), bool), wall, BUILDING)


def _ground(canvas: Canvas, horizon: int) -> None:
    tall = canvas.height - horizon
    grass = canvas.textured(tall, canvas.width, _foliage(canvas.rng), 2.0, canvas.rng.uniform(0.15, 0.4))
    canvas.paint(horizon, 0, np.ones((tall, canvas.width), bool), grass, VEGETATION)


def _trees(canvas: Canvas, horizon: int) -> None:
    """Paint crowns of noisy outline, some on a hedge along the horizon."""
    rng = canvas.rng
    for _ in range(int(rng.integers(1, 5))):
        size = max(3, int(canvas.height * rng.uniform(0.15, 0.5)))
        offset = np.linspace(-1, 1, size, dtype=np.float32)
        outline = offset[:, None] ** 2 + offset**2 + 0.45 * smooth_noise(rng, size, size, max(2.0, size / 9))
        crown = canvas.textured(size, size, _foliage(rng), 2.0, rng.uniform(0.25, 0.5))
        left = int(rng.integers(-size // 2, canvas.width))
        canvas.paint(horizon - int(size * rng.uniform(0.5, 0.9)), left, outline < 0.7, crown, VEGETATION)


def _road(canvas: Canvas, horizon: int) -> None:
    """Paint a trapezium to the vanishing point, its lane marks labelled as road."""
    rng, width, tall = canvas.rng, canvas.width, canvas.height - horizon
    depth = np.linspace(0, 1, tall, dtype=np.float32)[:, None]
    vanish, centre = width * rng.uniform(0.3, 0.7), width * rng.uniform(0.35, 0.65)
    middle = vanish + (centre - vanish) * depth
    half = width * (0.03 + rng.uniform(0.3, 0.7) * depth)
    offset = (np.arange(width, dtype=np.float32) - middle) / half
    asphalt = canvas.textured(tall, width, _colour(rng, 0.2, 0.6, vivid=0.3), 1.5, rng.uniform(0.05, 0.25))
    dashes = np.sin(rng.uniform(15, 30) * np.sqrt(depth) + rng.uniform(0, 6)) > 0
    marks = (np.abs(offset) < 0.03) & dashes | (np.abs(np.abs(offset) - 0.9) < 0.02)
    asphalt[marks] = rng.uniform(0.7, 0.95)
    canvas.paint(horizon, 0, np.abs(offset) < 1, asphalt, ROAD)


def _things(canvas: Canvas, horizon: int) -> None:
    """Paint poles, people and cars, those with the lower foot in front."""
    rng = canvas.rng
    kinds = [_pole] * int(rng.integers(2, 6)) + [_person] * int(rng.integers(1, 5)) + [_car] * int(rng.integers(1, 4))
    feet = horizon + (canvas.height - horizon) * rng.uniform(0.05, 0.8, len(kinds))
    for index in np.argsort(feet):
        nearness = (feet[index] - horizon) / max(1, canvas.height - horizon)
        kinds[index](canvas, int(feet[index]), 0.35 + 0.65 * float(nearness))


def _pole(canvas: Canvas, foot: int, scale: float) -> None:
    rng = canvas.rng
    thick = int(rng.integers(1, 4)) if scale > 0.5 else 1
    tall = int(canvas.height * scale * rng.uniform(0.4, 0.9)) + 2
    left = int(rng.integers(0, canvas.width))
    canvas.box(foot - tall, left, tall, thick, _colour(rng, 0.15, 0.8), POLE)
    if rng.random() < 0.6:
        _sign(canvas, foot - tall, left + thick // 2, scale)


def _sign(canvas: Canvas, top: int, middle: int, scale: float) -> None:
    rng = canvas.rng
    side = max(3, int(canvas.height * scale * rng.uniform(0.04, 0.09)))
    shape = (disc, triangle, lambda size: np.ones((size, size), bool))[int(rng.integers(3))]
    canvas.paint(top, middle - side // 2, shape(side), _colour(rng, 0.1, 0.95), SIGN)
    inner = side // 2
    canvas.paint(top + side // 4 + 1, middle - inner // 2, shape(inner), _colour(rng, 0.1, 0.95), SIGN)


def _person(canvas: Canvas, foot: int, scale: float) -> None:
    rng = canvas.rng
    tall = max(5, int(canvas.height * scale * rng.uniform(0.14, 0.22)))
    wide, head = max(2, tall // 4), max(2, tall // 6)
    left = int(rng.integers(0, canvas.width))
    legs = tall * 2 // 5
    canvas.box(foot - legs, left + wide // 5, legs, max(1, wide * 3 // 5), _colour(rng, 0.05, 0.6), PERSON)
    canvas.box(foot - tall + head, left, tall - legs - head, wide, _colour(rng, 0.05, 0.95), PERSON)
    skin = np.array([0.9, 0.72, 0.58], np.float32) * np.float32(rng.uniform(0.35, 1.0))
    canvas.paint(foot - tall, left + (wide - head) // 2, disc(head), skin, PERSON)


def _car(canvas: Canvas, foot: int, scale: float) -> None:
    rng = canvas.rng
    tall = max(4, int(canvas.height * scale * rng.uniform(0.12, 0.2)))
    wide = int(tall * rng.uniform(1.3, 2.4))
    left = int(rng.integers(-wide // 3, canvas.width))
    paint, glass = _colour(rng, 0.05, 0.95), _colour(rng, 0.05, 0.5)
    cabin, wheel = tall // 2, max(2, tall // 3)
    canvas.box(foot - tall, left + wide // 6, cabin, wide * 2 // 3, paint, CAR)
    canvas.box(foot - tall + 1, left + wide // 6 + 1, cabin - 1, wide * 2 // 3 - 2, glass, CAR)
    canvas.box(foot - cabin - 1, left, cabin + 1 - wheel // 3, wide, paint, CAR)
    for axle in (wide // 8, wide - wide // 8 - wheel):
        canvas.paint(foot - wheel, left + axle, disc(wheel), np.full(3, 0.08, np.float32), CAR)


def _photograph(canvas: Canvas) -> NDArray[np.uint8]:
    """Add uneven light, a tint, a slight blur and sensor noise."""
    rng = canvas.rng
    light = smooth_noise(rng, canvas.height, canvas.width, max(8.0, canvas.height / 2)) * rng.uniform(0.1, 0.35) + 1
    tint = (rng.uniform(0.65, 1.15) * rng.uniform(0.9, 1.1, 3)).astype(np.float32)
    image = canvas.image * light[:, :, None]
    image *= tint
    image = _blur(_blur(image, 0), 1)
    noise = rng.standard_normal(image.shape, np.float32)
    noise *= rng.uniform(0.01, 0.05)
    image += noise
    image *= 255
    return np.clip(image, 0, 255, out=image).astype(np.uint8)


def _blur(image: Floats, axis: int) -> Floats:
    """Return weights 1/8, 3/4, 1/8 along an axis, the edge pixels repeated."""
    values = np.moveaxis(image, axis, 0)
    blurred = 0.75 * values
    eighth = 0.125 * values
    blurred[1:] += eighth[:-1]
    blurred[:-1] += eighth[1:]
    blurred[0] += eighth[0]
    blurred[-1] += eighth[-1]
    return np.moveaxis(blurred, 0, axis)
