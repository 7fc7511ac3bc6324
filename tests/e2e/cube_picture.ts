/**
 * What kmscube draws, computed: the second source for pictures that come from a guest's GPU.
 *
 * Its cube has the corners ±1, its colours are those of the unit cube in RGB, the light is a point
 * near the eye, and every angle follows from the number of the frame. Source: kmscube,
 * `cube-smooth.c`.
 */
import type { PlainPicture } from "./screen_rig.ts";

/** Which frame a picture shows, and how well. */
export interface CubeMatch {
  /** The number of the frame, from 0. */
  frame: number;
  /** The part of all pixels that are not as computed, 0 to 1; the edges of the cube are among them. */
  wrong: number;
}

type Vector = readonly [number, number, number];

const DISTANCE = 8;
/** The frustum: half its width at the near plane, and how far away that is. */
const HALF_WIDTH = 2.8;
const NEAR = 6;
const LIGHT: Vector = [2, 2, 20];
/** Red, green and blue where the cube is not. */
const GROUND: Vector = [127.5, 127.5, 127.5];
/** kmscube lights the corners and interpolates, we light each point; and the GPU rounds. */
const TOLERANCE = 6;
/** Pixels from sample to sample when a frame is looked for. */
const COARSE = 20;

/** Finds the frame among the first `frames` that a picture shows; undefined where it shows none. */
export function findCubeFrame(picture: PlainPicture, frames: number): CubeMatch | undefined {
  let best: CubeMatch | undefined;
  for (let frame = 0; frame < frames; frame++) {
    const wrong = compare(picture, frame, COARSE);
    if (best === undefined || wrong < best.wrong) best = { frame, wrong };
  }
  if (best === undefined || best.wrong > 0.05) return undefined;
  return { frame: best.frame, wrong: compare(picture, best.frame, 1) };
}

/** The part of the pixels, each `step` apart, that are not as `frame` has them. */
function compare({ width, height, pixels }: PlainPicture, frame: number, step: number): number {
  const colorAt = cubeFrame(frame, width, height);
  let [wrong, all] = [0, 0];
  for (let y = 0; y < height; y += step) {
    for (let x = 0; x < width; x += step) {
      const pixel = pixels[y * width + x]!;
      const [red, green, blue] = colorAt(x, y);
      const off = Math.max(
        Math.abs((pixel >> 16 & 255) - red),
        Math.abs((pixel >> 8 & 255) - green),
        Math.abs((pixel & 255) - blue),
      );
      if (off > TOLERANCE) wrong++;
      all++;
    }
  }
  return wrong / all;
}

/** The colour of each pixel of a frame; 0,0 is the one at the top left. */
function cubeFrame(frame: number, width: number, height: number): (x: number, y: number) => Vector {
  const turn = rotation(45 + 0.25 * frame, 45 - 0.5 * frame, 10 + 0.15 * frame);
  const [rowX, rowY, rowZ] = turn;
  const toObject = (v: Vector): Vector => [
    rowX[0] * v[0] + rowY[0] * v[1] + rowZ[0] * v[2],
    rowX[1] * v[0] + rowY[1] * v[1] + rowZ[1] * v[2],
    rowX[2] * v[0] + rowY[2] * v[1] + rowZ[2] * v[2],
  ];
  const halfHeight = HALF_WIDTH * height / width;
  const eye = toObject([0, 0, DISTANCE]);
  // The light is where it is for the eye, not for the cube.
  const light = toObject([LIGHT[0], LIGHT[1], LIGHT[2] + DISTANCE]);
  return (x, y) => {
    const ray = toObject([
      ((2 * x + 1) / width - 1) * HALF_WIDTH,
      (1 - (2 * y + 1) / height) * halfHeight,
      -NEAR,
    ]);
    // Where the ray enters the cube: the last of the planes that it crosses inwards.
    let [enter, leave, face] = [-Infinity, Infinity, 0];
    for (let axis = 0; axis < 3; axis++) {
      const [from, step] = [eye[axis]!, ray[axis]!];
      const near = (-Math.sign(step) - from) / step;
      if (near > enter) [enter, face] = [near, axis];
      leave = Math.min(leave, (Math.sign(step) - from) / step);
    }
    if (enter > leave) return GROUND;
    const point = ray.map((step, axis) => eye[axis]! + enter * step);
    const beam = light.map((value, axis) => value - point[axis]!);
    const outwards = -Math.sign(ray[face]!) * beam[face]!;
    const lit = 255 * Math.max(0, outwards / Math.hypot(...beam));
    return [lit * (point[0]! + 1) / 2, lit * (point[1]! + 1) / 2, lit * (point[2]! + 1) / 2];
  };
}

/** The rows of the matrix that turns about z, y and x in turn; degrees, clockwise. */
function rotation(x: number, y: number, z: number): readonly [Vector, Vector, Vector] {
  const [sinX, cosX] = sineAndCosine(-x);
  const [sinY, cosY] = sineAndCosine(-y);
  const [sinZ, cosZ] = sineAndCosine(-z);
  return [
    [cosY * cosZ, -cosY * sinZ, sinY],
    [cosX * sinZ + sinX * sinY * cosZ, cosX * cosZ - sinX * sinY * sinZ, -sinX * cosY],
    [sinX * sinZ - cosX * sinY * cosZ, sinX * cosZ + cosX * sinY * sinZ, cosX * cosY],
  ];
}

function sineAndCosine(degrees: number): [number, number] {
  const angle = degrees * Math.PI / 180;
  return [Math.sin(angle), Math.cos(angle)];
}
