// Picture: what stands in the memory of a frame. Everything here works in place; nothing is allocated for a frame.
import { headerBytes, height, width } from './universe.ts';

/** The same memory as 32-bit pixels. */
export function pixelsOf(frame: Uint8Array): Uint32Array {
  return new Uint32Array(frame.buffer, frame.byteOffset + headerBytes, width * height);
}

export function numberOf(frame: Uint8Array): number {
  return new DataView(frame.buffer, frame.byteOffset).getUint32(0, true);
}

export function setNumber(frame: Uint8Array, number: number): void {
  new DataView(frame.buffer, frame.byteOffset).setUint32(0, number, true);
}

const waveLength = 1024;
const wave = Uint16Array.from({ length: waveLength * 4 }, (_, i) =>
  Math.round(170 * (1 + Math.sin((i * 2 * Math.PI) / waveLength))),
);
/** Around the colours, in steps that the filter can make edges of. */
const palette = Uint32Array.from({ length: 1024 }, (_, i) => {
  const step = i & 64 ? 110 : 127.5;
  const at = (phase: number) => Math.round(step * (1 - Math.cos((i / 1024 + phase) * 2 * Math.PI)));
  return (0xff000000 | (at(0.45) << 16) | (at(0.15) << 8) | at(0)) >>> 0;
});
const discRadius = 70;

/** Waves that run through each other, and a disc that goes around; both move with the number. */
export function draw(frame: Uint8Array, number: number): void {
  setNumber(frame, number);
  const pixels = pixelsOf(frame);
  const right = (number * 7) % waveLength;
  const down = (number * 5) % waveLength;
  const across = (number * 3) % waveLength;
  for (let y = 0, at = 0; y < height; y++) {
    const row = wave[y + down]!;
    for (let x = 0; x < width; x++, at++)
      pixels[at] = palette[(wave[x + right]! + row + wave[((x + y) & 1023) + across]!) & 1023]!;
  }
  const middleX = Math.round(width / 2 + 420 * Math.cos(number / 30));
  const middleY = Math.round(height / 2 + 250 * Math.sin(number / 30));
  for (let y = -discRadius; y <= discRadius; y++) {
    const half = Math.round(Math.sqrt(discRadius ** 2 - y ** 2));
    const start = (middleY + y) * width + middleX;
    pixels.fill(0xffffffff, start - half, start + half);
  }
}

const light = Uint32Array.from({ length: 511 }, (_, i) => {
  const value = Math.max(0, Math.min(255, 128 + (i - 255) * 6)) >> 1;
  return value | (value << 8) | (value << 16);
});

/** The picture as if it stood out of the paper and light fell on it from the left, in half its colours. */
export function emboss(frame: Uint8Array, into: Uint8Array): void {
  setNumber(into, numberOf(frame));
  const from = pixelsOf(frame);
  const to = pixelsOf(into);
  const before = 2 * width + 2;
  for (let at = 0; at < to.length; at++) {
    const pixel = from[at]!;
    const other = at < before ? pixel : from[at - before]!;
    const slope = ((pixel >>> 8) & 255) - ((other >>> 8) & 255) + 255;
    to[at] = ((pixel >>> 1) & 0x7f7f7f7f) + light[slope]! + 0x80000000;
  }
}
